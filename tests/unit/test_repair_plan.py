"""The plan of a repair: which steps for which damage, in words and bytes, and nothing where nothing is wrong."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from caches import (
    CHECKPOINT,
    FILES,
    GOOD,
    SPEC,
    WEIGHTS,
    git_sha1,
    payload,
    put,
    safetensors,
    sha256,
)
from repairing import planned, reports

from backends.base import ModelSpec, RequiredFile
from speedtest_tui.core import locations
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models.inventory import Duplicate
from speedtest_tui.core.models.scan import scan
from speedtest_tui.core.repair.copying import plan_copy
from speedtest_tui.core.repair.plan import plan
from speedtest_tui.core.repair.step import Step, bytes_to_download

OPENAI = ModelSpec(
    "openai", f"https://host/{sha256(CHECKPOINT)}/tiny.pt", (RequiredFile(("tiny.pt",), sha256(CHECKPOINT)),)
)


@pytest.fixture
def hf(places: Path) -> Path:
    """The HF cache, empty."""
    locations.hf_cache().mkdir(parents=True)
    return locations.hf_cache()


def mlx_weights(names: tuple[str, ...] = (), width: int = 3) -> bytes:
    """A safetensors file with the names that mlx-whisper reads, or others."""
    names = names or ("encoder.conv1.weight", "decoder.token_embedding.weight", "encoder.blocks.0.mlp1.weight")
    return safetensors(bytes(2 * width), names, "F16", [1, width, 1])


def test_a_missing_model_is_no_fault_and_the_note_names_the_command(hf: Path) -> None:
    found = planned(SPEC)
    assert found.steps == ()
    (note,) = found.notes
    assert (note.advice.what, note.advice.todo) == (
        "org/name is not downloaded",
        "run `speedtest-tui download --size tiny --backends mlx-whisper`",
    )


def test_a_partial_model_is_resumed_at_its_commit(hf: Path) -> None:
    snapshot = put(hf, manifest=True, leave_out=(WEIGHTS,))
    whole = GOOD[WEIGHTS]
    (snapshot.parents[1] / "blobs" / f"{sha256(whole)}.0badc0de.incomplete").write_bytes(whole[:50])
    (step,) = planned(SPEC).chosen
    assert (step.kind, step.download_bytes) == ("resume", len(whole) - 50)
    assert step.what == f"resume the download of org/name ({len(whole) - 50} bytes)"
    assert step.request is not None
    assert (step.request.spec.revision, step.request.root, step.request.again) == (snapshot.name, hf, ())
    assert step.request.fallback is not None
    assert step.request.fallback.spec.revision == ""


def test_a_damaged_file_is_downloaded_again_and_named(hf: Path) -> None:
    snapshot = put(hf, manifest=True)
    blob = payload(snapshot / WEIGHTS)
    blob.write_bytes(GOOD[WEIGHTS][:40])
    (step,) = planned(SPEC).chosen
    size = len(GOOD[WEIGHTS])
    assert (step.kind, step.what) == ("download", f"download {WEIGHTS} of org/name again ({size} bytes)")
    assert step.download_bytes == size
    assert step.request is not None
    assert step.request.again == (WEIGHTS,)
    assert step.replaces == (snapshot / WEIGHTS, blob)


def test_what_is_whole_in_another_cache_is_not_downloaded(hf: Path) -> None:
    damaged = put(hf, manifest=True)
    payload(damaged / WEIGHTS).write_bytes(b"")
    whole = put(locations.local_cache(), manifest=True)
    (step,) = planned(SPEC).chosen
    assert (step.kind, step.download_bytes) == ("relink", 0)
    assert step.target == whole.parents[1] / "blobs" / sha256(GOOD[WEIGHTS])
    assert "the good copy in the local cache" in step.what


def test_a_link_that_leads_to_where_the_cache_was_is_made_again(hf: Path) -> None:
    snapshot = put(hf, manifest=True)
    link = snapshot / WEIGHTS
    name = link.readlink().name
    link.unlink()
    link.symlink_to(f"/nowhere/models--org--name/blobs/{name}")
    (step,) = planned(SPEC).chosen
    assert (step.kind, step.target) == ("relink", snapshot.parents[1] / "blobs" / name)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (mlx_weights(("model.encoder.layers.0.self_attn.q_proj.weight",)), "transformers' names"),
        (mlx_weights(("encoder.conv1.weight", "encoder.blocks.0.mlp.0.weight")), "not Whisper as MLX keeps it"),
        (mlx_weights(width=80), "PyTorch's order"),
    ],
)
def test_weights_of_another_layout_get_a_note_and_no_step(hf: Path, data: bytes, words: str) -> None:
    put(hf, {"config.json": b"{}", "model.safetensors": data})
    spec = ModelSpec("hub", "org/name", FILES, fallback=ModelSpec("hub", "org/plain", FILES))
    found = planned(spec)
    assert found.steps == ()
    (note,) = (note for note in found.notes if note.model == "org/name")
    assert words in note.advice.what
    assert "org/plain" in note.advice.todo


def test_a_half_written_ref_says_which_of_two_snapshots_it_means(hf: Path) -> None:
    put(hf, ref=False)
    shutil.copytree(put(hf, repository="b/c"), hf / "models--org--name" / "snapshots" / ("e" * 40), symlinks=True)
    (hf / "models--org--name" / "refs").mkdir()
    (hf / "models--org--name" / "refs" / "main").write_text("e" * 12)
    (step,) = planned(SPEC).chosen
    assert (step.kind, step.text) == ("write-ref", "e" * 40)


def test_a_damaged_checkpoint_that_is_whole_elsewhere_is_not_downloaded(places: Path) -> None:
    for cache, data in ((locations.whisper_cache(), CHECKPOINT[:100]), (locations.local_cache(), CHECKPOINT)):
        cache.mkdir(parents=True)
        (cache / "tiny.pt").write_bytes(data)
    (step,) = planned(OPENAI).chosen
    assert (step.kind, step.target) == ("relink", locations.local_cache() / "tiny.pt")


def test_two_backends_that_need_one_model_make_one_download(hf: Path) -> None:
    snapshot = put(hf, manifest=True)
    payload(snapshot / WEIGHTS).write_bytes(b"")
    payload(snapshot / "config.json").write_bytes(b"")
    other = ModelSpec("hub", "org/name", (RequiredFile(("config.json",)),))
    (step,) = planned(SPEC, other).chosen
    assert step.request is not None
    assert set(step.request.again) == {"config.json", WEIGHTS}
    assert step.does.startswith("download 2 files again (")
    assert bytes_to_download([step]) == (len(GOOD[WEIGHTS]) + len(GOOD["config.json"]), True)


def test_what_one_backend_lacks_and_another_has_damaged_is_one_download(hf: Path) -> None:
    snapshot = put(hf, manifest=True, leave_out=(WEIGHTS,))
    payload(snapshot / "config.json").write_bytes(b"")
    weights = ModelSpec("hub", "org/name", (RequiredFile((WEIGHTS,)),))
    config = ModelSpec("hub", "org/name", (RequiredFile(("config.json",)),))
    (step,) = planned(weights, config).chosen
    assert (step.kind, step.part) == ("download", "config.json")


def test_duplicates_are_offered_and_linked_only_within_a_file_system(hf: Path, places: Path) -> None:
    first = payload(put(hf) / WEIGHTS)
    second = payload(put(locations.local_cache()) / WEIGHTS)
    same = Duplicate((first, second), 72, 72, sha256(GOOD[WEIGHTS]))
    found = plan(reports(SPEC), list(scan()), [same])
    assert found.chosen == ()
    (step,) = found.offered
    assert (step.kind, step.path, step.target, step.free_bytes) == ("merge", second, first, 72)
    assert "once the trash is emptied" in step.what


def test_copying_needs_a_model_and_a_place_for_it(hf: Path) -> None:
    put(hf)
    stored = list(scan())
    step = plan_copy("org/name", "local", stored)
    assert (step.kind, step.path) == ("copy", locations.local_cache() / "models--org--name")
    for name, to in (("org/name", "whisper"), ("org/name", "hf"), ("no/body", "local")):
        with pytest.raises(UserError):
            plan_copy(name, to, stored)  # type: ignore[arg-type]


def test_a_step_says_what_it_does_with_and_without_its_model() -> None:
    step = Step("download", Path("/c/x"), Path("/c"), "hf", "org/name", "a.json", "again", download_bytes=3000)
    assert (step.does, step.what) == ("download a.json again (3 kB)", "download a.json of org/name again (3 kB)")
    assert step.titled == "name: download a.json again (3 kB)"
    whole = replace(step, part="", model="https://host/tiny.pt", download_bytes=None)
    assert (whole.does, whole.what) == ("download again (size unknown)", "download tiny.pt again (size unknown)")


def test_git_hashes_are_understood_as_well(hf: Path) -> None:
    snapshot = put(hf, manifest=True)
    (snapshot / "config.json").unlink()
    (step,) = planned(SPEC).chosen
    assert (step.kind, step.text) == ("relink", git_sha1(GOOD["config.json"]))
