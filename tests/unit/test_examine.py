"""Every state that a model can be in, made by hand in each kind of cache, and the sentence that goes with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from caches import (
    COMMIT,
    GOOD,
    SPEC,
    archive,
    flip,
    found_corrupt,
    git_sha1,
    payload,
    put,
    safetensors,
    sha256,
)

from backends.base import ModelSpec, RequiredFile
from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.models.status import CacheName, CacheState

WEIGHTS = "weights.safetensors"
SIZE = sum(map(len, GOOD.values()))
BIG = {"config.json": b"{}", WEIGHTS: safetensors(1_000_000)}


def kinds(state: CacheState) -> list[str]:
    return [fault.kind for fault in state.faults]


@pytest.mark.parametrize("manifest", [False, True])
def test_complete(home: tuple[CacheName, Path], manifest: bool) -> None:
    cache, folder = home
    snapshot = put(folder, manifest=manifest)
    state = examine(SPEC, cache)
    assert (state.state, state.faults, state.detail) == ("complete", (), "")
    assert (state.path, state.repository, state.revision) == (snapshot, snapshot.parents[1], COMMIT)
    assert state.bytes == state.expected_bytes == SIZE
    config, weights = state.files
    assert (config.name, config.git_sha1, config.sha256) == ("config.json", git_sha1(b"{}"), "")
    assert (weights.name, weights.sha256, weights.git_sha1) == (WEIGHTS, sha256(GOOD[WEIGHTS]), "")
    others: tuple[CacheName, ...] = ("local",) if cache == "hf" else ("hf",)
    assert [examine(SPEC, other).state for other in (*others, "whisper")] == ["missing", "not-applicable"]


@pytest.mark.parametrize("manifest", [False, True])
@pytest.mark.parametrize(
    ("damage", "kind", "said"),
    [
        (lambda p: payload(p).write_bytes(p.read_bytes()[:-5]), "truncated", "weights.safetensors is cut short"),
        (lambda p: payload(p).write_bytes(p.read_bytes() + b"x"), "truncated", "weights.safetensors is 1 byte longer"),
        (lambda p: payload(p).write_bytes(b""), "empty", "weights.safetensors is empty"),
        (lambda p: payload(p).write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "lfs-pointer", "pointer"),
        (lambda p: payload(p).write_bytes(bytes(payload(p).stat().st_size)), "corrupt", "does not begin as"),
        (lambda p: (p.unlink(), p.mkdir()), "unreadable", "weights.safetensors is a folder"),
    ],
)
def test_damaged(home: tuple[CacheName, Path], manifest: bool, damage: object, kind: str, said: str) -> None:
    cache, folder = home
    snapshot = put(folder, manifest=manifest)
    damage(snapshot / WEIGHTS)  # type: ignore[operator]
    state = examine(SPEC, cache)
    assert (state.state, kinds(state)) == ("damaged", [kind])
    assert said in state.detail
    assert (state.faults[0].path, state.faults[0].name) == (snapshot / WEIGHTS, WEIGHTS)


def test_json_of_the_wrong_size_is_noticed_where_there_is_a_manifest(hub: Path) -> None:
    payload(put(hub, manifest=True) / "config.json").write_bytes(b'{"other": 1}')
    assert examine(SPEC, "hf").detail == "config.json is 10 bytes longer than it should be"


def test_partial_with_a_manifest_counts_bytes_of_bytes(home: tuple[CacheName, Path]) -> None:
    cache, folder = home
    snapshot = put(folder, BIG, manifest=True, leave_out=(WEIGHTS,))
    state = examine(SPEC, cache)
    whole = sum(map(len, BIG.values()))
    assert (state.state, state.bytes, state.expected_bytes) == ("partial", 2, whole)
    assert state.detail == "1 of 2 files, 0 of 1 MB"
    assert state.faults[0].detail == "weights.safetensors is missing"
    # huggingface_hub 2.x and we name it differently; of two the larger counts, as that is continued.
    blob = snapshot.parents[1] / "blobs" / sha256(BIG[WEIGHTS])
    blob.with_name(f"{blob.name}.incomplete").write_bytes(BIG[WEIGHTS][:100])
    blob.with_name(f"{blob.name}.0badc0de.incomplete").write_bytes(BIG[WEIGHTS][:250_000])
    state = examine(SPEC, cache)
    assert (state.state, state.bytes, state.expected_bytes) == ("partial", 250_002, whole)
    assert state.detail == "1 of 2 files, 0.25 of 1 MB"
    assert state.faults[0].detail == "weights.safetensors is unfinished: 0.25 of 1 MB"


def test_partial_without_a_manifest_reads_the_size_from_the_part(hub: Path) -> None:
    snapshot = put(hub, {"config.json": b"{}"})
    part = snapshot.parents[1] / "blobs" / f"{sha256(BIG[WEIGHTS])}.incomplete"
    part.write_bytes(BIG[WEIGHTS][:250_000])
    part.with_name(f"{'e' * 40}.incomplete").write_bytes(b"a part of something small")
    state = examine(SPEC, "hf")
    assert (state.state, state.detail) == ("partial", "1 of 2 files, 0.25 of 1 MB")
    assert state.files[1].sha256 == sha256(BIG[WEIGHTS])


def test_nothing_but_a_part_is_partial(hub: Path) -> None:
    blobs = hub / "models--org--name" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{'a' * 64}.12345678.incomplete").write_bytes(b"x" * 5000)
    state = examine(SPEC, "hf")
    assert (state.state, state.bytes, state.path) == ("partial", 5000, None)
    assert state.detail == "0 of 2 files, 5 kB so far"
    assert state.repository == hub / "models--org--name"


def test_nothing_but_a_ref_is_partial(hub: Path) -> None:
    refs = hub / "models--org--name" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(COMMIT)
    state = examine(SPEC, "hf")
    assert (state.state, state.detail) == ("partial", "0 of 2 files")


def test_empty_folders_are_missing(hub: Path) -> None:
    (hub / "models--org--name" / "snapshots").mkdir(parents=True)
    assert examine(SPEC, "hf").state == "missing"


def test_a_snapshot_of_other_files_is_partial(hub: Path) -> None:
    put(hub, {"README.md": b"hello"})
    assert examine(SPEC, "hf").state == "partial"


def test_a_missing_file_is_named_with_its_other_names(hub: Path) -> None:
    (put(hub) / WEIGHTS).unlink()
    assert examine(SPEC, "hf").faults[0].detail == "weights.safetensors or weights.npz is missing"


def test_a_file_that_is_only_not_linked(hub: Path) -> None:
    (put(hub, manifest=True) / WEIGHTS).unlink()
    state = examine(SPEC, "hf")
    assert (state.state, state.bytes) == ("partial", SIZE)
    assert "not linked from the snapshot, though its content is there" in state.faults[0].detail


def test_broken_link(home: tuple[CacheName, Path]) -> None:
    cache, folder = home
    payload(put(folder) / WEIGHTS).unlink()
    state = examine(SPEC, cache)
    assert (state.state, state.detail) == ("broken-link", "weights.safetensors is a broken link")


def test_a_broken_link_whose_download_goes_on_is_partial(hub: Path) -> None:
    blob = payload(put(hub) / WEIGHTS)
    blob.rename(blob.with_name(f"{blob.name}.incomplete"))
    assert examine(SPEC, "hf").state == "partial"


@pytest.mark.parametrize("manifest", [False, True])
def test_wrong_layout(home: tuple[CacheName, Path], manifest: bool) -> None:
    cache, folder = home
    put(folder, {"config.json": b"{}", "model.safetensors": safetensors()}, manifest=manifest)
    state = examine(SPEC, cache)
    assert (state.state, kinds(state)) == ("wrong-layout", ["wrong-layout"])
    assert state.detail == (
        "weights.safetensors or weights.npz is missing; there is model.safetensors, which the backend does not read"
    )


def test_weights_that_are_only_not_fetched_yet_are_no_wrong_layout(hub: Path) -> None:
    put(hub, {**GOOD, "model.safetensors": safetensors()}, manifest=True, leave_out=(WEIGHTS,))
    assert examine(SPEC, "hf").state == "partial"


def test_a_repository_known_to_have_another_layout(hub: Path) -> None:
    put(hub, {"config.json": b"{}", "m.nemo": b"n"}, manifest=True, leave_out=("m.nemo",))
    state = examine(SPEC, "hf")
    assert state.state == "wrong-layout"
    assert "its repository has m.nemo" in state.detail


def test_the_worst_fault_names_the_state(hub: Path) -> None:
    files = tuple(RequiredFile((name,)) for name in ("a.json", "b.json", "c.safetensors", "d.json"))
    spec = ModelSpec("hub", "org/name", files)
    snapshot = put(hub, {"a.json": b"{}", "b.json": b"{}1", "other.safetensors": safetensors(), "d.json": b"{"})
    payload(snapshot / "b.json").unlink()
    assert (examine(spec, "hf").state, kinds(examine(spec, "hf"))) == (
        "damaged",
        ["broken-link", "wrong-layout", "corrupt"],
    )
    payload(snapshot / "d.json").write_bytes(b"{}")
    assert examine(spec, "hf").state == "broken-link"
    (snapshot / "b.json").unlink()
    assert examine(spec, "hf").state == "wrong-layout"
    (snapshot / "other.safetensors").unlink()
    assert examine(spec, "hf").state == "partial"


def test_a_file_whose_hash_was_wrong_is_damaged_until_it_changes(hub: Path) -> None:
    weights = payload(put(hub) / WEIGHTS)
    flip(weights)
    assert examine(SPEC, "hf").state == "complete"
    found_corrupt(weights)
    state = examine(SPEC, "hf")
    assert (state.state, state.detail) == ("damaged", "weights.safetensors does not match its sha256")
    flip(weights)
    os.utime(weights, ns=(0, weights.stat().st_mtime_ns + 1))
    assert examine(SPEC, "hf").state == "complete"


def test_optional_files_are_a_remark(hub: Path) -> None:
    files = {**GOOD, "tokenizer.json": b"{}", "README.md": b"r", "a.txt": b"t", "b.txt": b"t", "c.txt": b"t"}
    put(hub, files, manifest=True, leave_out=("tokenizer.json", "README.md"))
    state = examine(SPEC, "hf")
    assert (state.state, state.faults) == ("complete", ())
    assert state.detail == "optional and not there: tokenizer.json"


def test_npz_and_its_damage(hub: Path) -> None:
    snapshot = put(hub, {"config.json": b"{}", "weights.npz": archive("a.npy", "b.npy")})
    assert examine(SPEC, "hf").state == "complete"
    payload(snapshot / "weights.npz").write_bytes(archive("a.npy", "b.npy")[:-40])
    assert "weights.npz is cut short" in examine(SPEC, "hf").detail


def test_a_repository_of_5000_files(hub: Path) -> None:
    names = {f"extra/{number:04}.txt": b"%d" % number for number in range(5000)}
    put(hub, {**GOOD, **names}, manifest=True, leave_out=("extra/0001.txt",))
    state = examine(SPEC, "hf")
    assert (state.state, state.detail) == ("complete", "optional and not there: extra/0001.txt")
    assert len(state.files) == 2
