"""Finding models in caches made by hand: what is whole, what is not, and what is said of it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from caches import CHECKPOINT, COMMIT, FILES, GOOD, SPEC, archive, payload, put

from backends.base import Advice, BackendEntry, Location, ModelSpec
from backends.catalogue import MLX_WHISPER, openai_checkpoint
from speedtest_tui.core.models.inspect import locate
from speedtest_tui.core.models.sizes import Candidate
from speedtest_tui.core.race.prepare import Ready, prepare

SIZE = sum(map(len, GOOD.values()))


def problem(spec: ModelSpec = SPEC) -> str:
    found = locate(spec)
    assert isinstance(found, Advice)
    assert found.todo
    return found.what


def test_complete(hub: Path) -> None:
    snapshot = put(hub)
    assert locate(SPEC) == Location(snapshot, COMMIT, "hf", SIZE)


@pytest.mark.parametrize("below", ["models", "models/hub"])
def test_in_the_local_cache(places: Path, hub: Path, below: str) -> None:
    snapshot = put(places / below)
    assert locate(SPEC) == Location(snapshot, COMMIT, "local", SIZE)


def test_an_accepted_other_name(hub: Path) -> None:
    put(hub, {"config.json": b"{}", "weights.npz": archive("a.npy")})
    assert isinstance(locate(SPEC), Location)


def test_absent(hub: Path) -> None:
    assert problem() == "org/name is not downloaded"


def test_a_missing_file_is_named_with_its_other_names(hub: Path) -> None:
    (put(hub) / "weights.safetensors").unlink()
    assert "weights.safetensors or weights.npz is missing" in problem()


def test_a_broken_link(hub: Path) -> None:
    (put(hub) / "config.json").resolve().unlink()
    assert "config.json is a broken link" in problem()


def test_an_empty_file(hub: Path) -> None:
    payload(put(hub) / "weights.safetensors").write_bytes(b"")
    assert "weights.safetensors is empty" in problem()


def test_a_pointer_to_a_large_file(hub: Path) -> None:
    payload(put(hub) / "weights.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    )
    assert "is a pointer to a large file" in problem()


def test_a_folder_where_a_file_belongs(hub: Path) -> None:
    snapshot = put(hub)
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").mkdir()
    assert "config.json is a folder" in problem()


def test_a_whole_copy_beside_a_damaged_one(places: Path, hub: Path) -> None:
    (put(hub) / "config.json").unlink()
    snapshot = put(places / "models")
    found = locate(SPEC)
    assert isinstance(found, Location)
    assert (found.path, found.cache) == (snapshot, "local")


def test_without_a_ref_the_only_snapshot_counts_and_of_several_the_newest(hub: Path) -> None:
    first = put(hub, ref=False)
    assert isinstance(locate(SPEC), Location)
    newest = put(hub, commit="f" * 40, ref=False)
    os.utime(first, (1_000_000, 1_000_000))
    found = locate(SPEC)
    assert isinstance(found, Location)
    assert found.path == newest


def test_a_ref_to_a_snapshot_that_is_gone_does_not_hide_a_whole_one(hub: Path) -> None:
    snapshot = put(hub)
    (hub / "models--org--name" / "refs" / "main").write_text("f" * 40)
    found = locate(SPEC)
    assert isinstance(found, Location)
    assert found.path == snapshot


def test_a_pinned_revision_ignores_the_ref(hub: Path) -> None:
    put(hub)
    pinned = put(hub, commit="a" * 40, ref=False)
    found = locate(ModelSpec("hub", "org/name", FILES, revision="a" * 40))
    assert isinstance(found, Location)
    assert found.path == pinned
    assert "is incomplete" in problem(ModelSpec("hub", "org/name", FILES, revision="b" * 40))


@pytest.mark.parametrize("ref", ["../../../../outside", "..", ".", "/", "", "outside/../..", "\x00"])
def test_a_ref_cannot_lead_elsewhere(places: Path, hub: Path, ref: str) -> None:
    snapshot = put(hub)
    outside = put(places, repository="outside/outside")
    for name in ("config.json", "weights.safetensors"):
        (hub / "models--org--name" / name).write_bytes(b"planted")
    (hub / "models--org--name" / "refs" / "main").write_text(ref.replace("outside", str(outside)))
    found = locate(SPEC)
    assert isinstance(found, Location)
    assert found.path == snapshot


def test_a_ref_that_is_no_text(hub: Path) -> None:
    put(hub)
    (hub / "models--org--name" / "refs" / "main").write_bytes(b"\xff\xfe\x00")
    # As unreadable as none at all, and there is one snapshot only.
    assert isinstance(locate(SPEC), Location)


@pytest.mark.parametrize("where", ["local", "whisper"])
def test_openai_checkpoints(places: Path, where: str) -> None:
    cache = places / ("models" if where == "local" else "home/.cache/whisper")
    cache.mkdir(parents=True)
    (cache / "large-v3.pt").write_bytes(CHECKPOINT)
    found = locate(openai_checkpoint("large"))
    assert found == Location(cache / "large-v3.pt", "e5b1a55b89c1", where, len(CHECKPOINT))


def test_openai_checkpoints_that_are_not_there(places: Path) -> None:
    assert problem(openai_checkpoint("tiny")) == "tiny.pt is not downloaded"
    (places / "models").mkdir()
    (places / "models" / "tiny.pt").touch()
    assert "tiny.pt is damaged (local cache: tiny.pt is empty)" in problem(openai_checkpoint("tiny"))


def test_bundled_models_need_no_place() -> None:
    assert locate(ModelSpec("bundled", "pocketsphinx/en-us")) == Location(None, cache="bundled")


def test_a_model_that_does_not_exist_yet() -> None:
    assert problem(ModelSpec("hub", "org/name", FILES, missing_reason="not yet")) == "not yet"


def test_the_fallback_is_used_and_said(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toys.well import Well

    spec = ModelSpec("hub", "org/name-q4", FILES, fallback=SPEC)
    monkeypatch.setattr(Well, "model", lambda self, size: spec)
    candidate = Candidate(BackendEntry("well", "toys.well:Well"), "tiny")
    found = prepare(candidate, None, threading.Event())
    assert not isinstance(found, Ready)
    assert (found.status, found.error.advice.what) == ("missing-model", "org/name-q4 is not downloaded")

    snapshot = put(hub)
    found = prepare(candidate, None, threading.Event())
    assert isinstance(found, Ready)
    assert (found.spec, found.location.path) == (SPEC, snapshot)
    assert found.warnings == ("ran org/name because org/name-q4 is not downloaded",)


def test_what_to_do_is_a_command_that_can_be_typed(hub: Path) -> None:
    tiny = MLX_WHISPER["tiny"]
    found = locate(tiny)
    assert isinstance(found, Advice)
    assert found.todo == "run `speedtest-tui download --size tiny --backends mlx-whisper`"
    assert tiny.fallback is not None
    payload(put(hub, repository=tiny.fallback.source) / "config.json").write_bytes(b"{")
    found = locate(tiny.fallback)
    assert isinstance(found, Advice)
    assert found.what == f"{tiny.fallback.source} is damaged (HF cache: config.json is not valid JSON)"
    assert found.todo == "run `speedtest-tui repair --size tiny --backends mlx-whisper`"
    found = locate(SPEC)
    assert isinstance(found, Advice)
    assert found.todo == "run `speedtest-tui download`"  # a third party's: what to type is not known here


def test_every_cache_with_something_in_it_is_named(places: Path, hub: Path) -> None:
    (put(hub) / "config.json").unlink()
    payload(put(places / "models") / "config.json").unlink()
    said = problem()
    assert said.startswith("org/name is incomplete (HF cache: 1 of 2 files, ")
    assert said.endswith(": config.json is missing; local cache: config.json is a broken link)")
