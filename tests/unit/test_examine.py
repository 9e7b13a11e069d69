"""How one model stands in one cache, in every layout: what is used, and what is said of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from caches import (
    CHECKPOINT,
    COMMIT,
    FILES,
    GOOD,
    SPEC,
    WEIGHTS,
    archive,
    etag,
    flip,
    found_corrupt,
    git_sha1,
    payload,
    put,
    safetensors,
    sha256,
    shared,
)  # fmt: skip

from backends.base import ModelSpec, RequiredFile
from backends.catalogue import MLX_WHISPER, POCKETSPHINX, TRANSFORMERS, openai_checkpoint
from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.models.status import CacheName, CacheState
from speedtest_tui.core.models.wanted import wanted

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
    assert (state.state, state.detail) == ("damaged", "weights.safetensors does not match its checksum")
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


def test_of_several_snapshots_without_a_ref_the_newest_whole_one_is_used(hub: Path) -> None:
    old, whole, broken = (put(hub, commit=letter * 40, ref=False) for letter in "abc")
    (broken / WEIGHTS).unlink()
    for age, snapshot in enumerate((broken, whole, old)):
        os.utime(snapshot, (1_000_000 - age, 1_000_000 - age))
    state = examine(SPEC, "hf")
    assert (state.state, state.path, kinds(state)) == ("complete", whole, ["bad-ref"])


def test_a_pinned_revision_asks_no_ref(hub: Path) -> None:
    pinned = put(hub, commit="a" * 40, ref=False)
    put(hub)
    state = examine(replace(SPEC, revision="a" * 40), "hf")
    assert (state.state, state.path, state.faults) == ("complete", pinned, ())
    assert examine(replace(SPEC, revision="b" * 40), "hf").state == "partial"


def test_a_cache_or_repository_moved_to_another_disk_and_linked_is_fine(places: Path, hub: Path) -> None:
    put(places / "disk")
    hub.mkdir()
    (hub / "models--org--name").symlink_to(places / "disk" / "models--org--name")
    assert examine(SPEC, "hf").state == "complete"
    (hub / "models--org--name").unlink()
    hub.rmdir()
    hub.symlink_to(places / "disk")
    state = examine(SPEC, "hf")
    assert (state.state, state.path) == ("complete", hub / "models--org--name" / "snapshots" / COMMIT)


def test_a_repository_on_a_disk_that_is_unplugged(places: Path, hub: Path) -> None:
    hub.mkdir()
    (hub / "models--org--name").symlink_to(places / "unplugged")
    state = examine(SPEC, "hf")
    assert (state.state, state.detail) == (
        "broken-link",
        f"{hub}/models--org--name is a link to a disk that is not there ({places}/unplugged)",
    )


def test_payloads_in_the_shared_store(hub: Path) -> None:
    stored = shared(put(hub))
    state = examine(SPEC, "hf")
    # The hash is the name of the first hop; the store's own names are another kind of hash.
    assert (state.state, state.files[1].sha256) == ("complete", sha256(GOOD[WEIGHTS]))
    stored.unlink()
    assert examine(SPEC, "hf").state == "broken-link"


def test_a_payload_in_another_cache_is_fine(places: Path, hub: Path) -> None:
    here, there = put(hub), put(places / "models")
    (there / WEIGHTS).unlink()
    (there / WEIGHTS).symlink_to(here / WEIGHTS)
    assert examine(SPEC, "local").state == "complete"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_not_missing(hub: Path) -> None:
    snapshot = put(hub)
    for folder in (snapshot, snapshot.parents[1]):
        folder.chmod(0)
        state = examine(SPEC, "hf")
        folder.chmod(0o755)
        assert (state.state, kinds(state)) == ("damaged", ["unreadable"])


def test_what_may_not_be_looked_at_is_not_missing(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = put(hub)
    stat = Path.stat

    def refused(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.parent == snapshot:
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", refused)
    state = examine(SPEC, "hf")
    assert (state.state, state.detail) == ("damaged", "config.json cannot be read: permission denied")


@pytest.mark.parametrize("folder", ["org--name", "org/name", "name", "converted/name"])
def test_plain_folders(places: Path, folder: str) -> None:
    path = places / "models" / folder
    path.mkdir(parents=True)
    for name, data in GOOD.items():
        (path / name).write_bytes(data)
    state = examine(SPEC, "local")
    assert (state.state, state.path, state.repository, state.bytes) == ("complete", path, None, SIZE)
    (path / WEIGHTS).write_bytes(GOOD[WEIGHTS][:-1])
    assert (examine(SPEC, "local").state, examine(SPEC, "hf").state) == ("damaged", "missing")
    (path / WEIGHTS).rename(path / "model.safetensors")
    # A folder with the owner in its name is this model; one without may be another owner's.
    assert examine(SPEC, "local").state == ("wrong-layout" if "org" in folder else "missing")


def test_hashes_that_huggingface_hub_noted_beside_a_plain_folder(places: Path) -> None:
    path = places / "models" / "org--name"
    notes = path / ".cache" / "huggingface" / "download"
    notes.mkdir(parents=True)
    for name, data in GOOD.items():
        (path / name).write_bytes(data)
        os.utime(path / name, (1_700_000_000, 1_700_000_000))
        (notes / f"{name}.metadata").write_text(f"{COMMIT}\n{etag(name, data)}\n1700000000.5\n")
    files = examine(SPEC, "local").files
    assert [file.git_sha1 or file.sha256 for file in files] == [etag(name, data) for name, data in GOOD.items()]
    os.utime(path / "config.json", (1_800_000_000, 1_800_000_000))  # edited since: the note is not about this content
    (notes / f"{WEIGHTS}.metadata").write_text("garbage")
    assert [file.git_sha1 or file.sha256 for file in examine(SPEC, "local").files] == ["", ""]


def test_a_whole_copy_beside_a_damaged_one(places: Path) -> None:
    (put(places / "models") / WEIGHTS).unlink()
    whole = put(places / "models" / "hub")
    assert examine(SPEC, "local").path == whole


@pytest.mark.parametrize(("cache", "folder"), [("local", "models"), ("whisper", "home/.cache/whisper")])
def test_checkpoints(places: Path, cache: CacheName, folder: str) -> None:
    spec = openai_checkpoint("large")
    path = places / folder / "large-v3.pt"
    path.parent.mkdir(parents=True)
    (path.with_name("base.pt")).write_bytes(CHECKPOINT)
    assert examine(spec, "hf").state == "not-applicable"
    assert examine(spec, cache).state == "missing"

    path.with_name("large-v3.pt.incomplete").write_bytes(CHECKPOINT[:100])
    state = examine(spec, cache)
    assert (state.state, state.detail, state.path) == ("partial", "0 of 1 files, 100 bytes so far", None)

    path.write_bytes(CHECKPOINT)
    state = examine(spec, cache)
    assert (state.state, state.path, state.revision, state.bytes) == ("complete", path, "e5b1a55b89c1", len(CHECKPOINT))
    assert state.files[0].sha256.startswith("e5b1a55b89c1")

    path.write_bytes(CHECKPOINT[:200])
    assert examine(spec, cache).state == "damaged"
    path.write_bytes(b"")
    assert examine(spec, cache).detail == "large-v3.pt is empty"
    path.unlink()
    path.symlink_to("nowhere")
    assert examine(spec, cache).state == "broken-link"
    path.unlink()
    (places / "disk.pt").write_bytes(CHECKPOINT)
    path.symlink_to(places / "disk.pt")  # the file is the whole model: moving it elsewhere is the user's right
    assert examine(spec, cache).state == "complete"


def test_the_name_large_pt_means_nothing(places: Path) -> None:
    path = places / "models" / "large.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(CHECKPOINT)
    assert examine(openai_checkpoint("large"), "local").state == "missing"


def test_bundled_and_absent_models() -> None:
    for cache in ("hf", "local", "whisper"):
        state = examine(POCKETSPHINX["nano"], cache)
        assert (state.state, state.detail) == ("not-applicable", "comes with its library")
        absent = ModelSpec("embedded", "toy/none", missing_reason="nobody has trained it yet")
        assert examine(absent, cache).detail == "nobody has trained it yet"


def test_the_embedded_model(places: Path, unpacked: Callable[[str], Path]) -> None:
    spec = MLX_WHISPER["nano"]
    state = examine(spec, "local")
    assert (state.state, state.detail) == ("missing", "built in, unpacked on first use")
    assert examine(spec, "hf").state == "not-applicable"
    source = unpacked("mlx")
    folder = places / "models" / "embedded" / source.parent.name / "mlx"
    shutil.copytree(source, folder)
    state = examine(spec, "local")
    assert (state.state, state.path) == ("complete", folder)
    assert all(file.sha256 for file in state.files)
    (folder / "config.json").write_bytes(b"{}")
    assert examine(spec, "local").detail.endswith("unpacked again on the next use")
    (folder / "manifest.json").write_bytes(b"{")
    assert examine(spec, "local").state == "damaged"
    assert examine(ModelSpec("embedded", "nano/unheard-of"), "local").state == "not-applicable"


def test_specs_of_others_cannot_reach_outside(places: Path, hub: Path) -> None:
    put(hub)
    spec = ModelSpec("hub", "org/name", (RequiredFile(("../../refs/main",)),))
    assert examine(spec, "hf").state == "damaged"
    assert examine(ModelSpec("hub", "../org/name", FILES), "hf").state == "not-applicable"
    assert examine(ModelSpec("hub", "org/name"), "hf").state == "complete"


WHISPER_TINY = (
    ".gitattributes", "README.md", "added_tokens.json", "config.json", "flax_model.msgpack", "generation_config.json",
    "merges.txt", "model.safetensors", "normalizer.json", "onnx/config.json", "pytorch_model.bin", "sample.flac",
    "special_tokens_map.json", "tf_model.h5", "tokenizer.json", "vocab.json", "preprocessor_config.json",
    "coreml.mlpackage/Manifest.json", "../escape.json", "logo.png",
)  # fmt: skip


def test_wanted_of_a_repository_for_many_libraries() -> None:
    found = wanted(TRANSFORMERS["tiny"], WHISPER_TINY)
    assert found[:5] == (
        "config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors",
    )  # fmt: skip
    assert found[5:] == ("added_tokens.json", "merges.txt", "normalizer.json", "special_tokens_map.json", "vocab.json")


def test_wanted_takes_the_first_accepted_name_only() -> None:
    assert wanted(SPEC, ["weights.npz", WEIGHTS, "config.json"]) == ("config.json", WEIGHTS)
    assert wanted(SPEC, ["weights.npz", "config.json"]) == ("config.json", "weights.npz")
    assert wanted(SPEC, ["model.safetensors"]) == ()
