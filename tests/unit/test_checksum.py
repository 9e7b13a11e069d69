"""Hashes of models' files against what manifests, blob names and the catalogue say, and what follows from them."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from caches import CHECKPOINT, GOOD, SPEC, WEIGHTS, flip, found_corrupt, payload, put, sha256

from backends.base import BackendEntry, ModelSpec, RequiredFile
from speedtest_tui.core.jobs.checksum import Checksum, Sums
from speedtest_tui.core.jobs.job import JobView, words
from speedtest_tui.core.locations import checksums_file
from speedtest_tui.core.models import hashes as hashing
from speedtest_tui.core.models.hashes import checksum, with_hash, without_hash
from speedtest_tui.core.models.inspect import inspect_model
from speedtest_tui.core.models.remembered import verdict
from speedtest_tui.core.models.status import Fault, ModelReport

ENTRY = BackendEntry("toy", "toys.well:Well")


@pytest.fixture
def hub(places: Path) -> Path:
    return places / "home" / ".cache" / "huggingface" / "hub"


def look(spec: ModelSpec = SPEC) -> ModelReport:
    return inspect_model(ENTRY, spec, ("tiny",))


def compare(reports: Sequence[ModelReport]) -> tuple[Fault, ...]:
    return checksum(reports, lambda done, total: None, threading.Event())


@pytest.mark.parametrize("manifest", [False, True])
def test_whole_files_match(hub: Path, manifest: bool) -> None:
    snapshot = put(hub, manifest=manifest)
    assert compare([look()]) == ()
    assert [verdict(snapshot / name) for name in GOOD] == ["ok", "ok"]


@pytest.mark.parametrize("manifest", [False, True])
@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
def test_wrong_bytes_of_the_right_size(hub: Path, manifest: bool, name: str) -> None:
    files = {**GOOD, "config.json": b'{"a":"b"} '}
    snapshot = put(hub, files, manifest=manifest)
    flip(snapshot / name)
    if name == "config.json":
        payload(snapshot / name).write_bytes(b'{"a":"c"} ')
    before = look()
    assert before.state("hf").state == "complete"
    (fault,) = compare([before])
    assert (fault.kind, fault.path, fault.name) == ("corrupt", snapshot / name, name)
    after = look().state("hf")
    assert (after.state, after.detail, after.faults) == ("damaged", fault.detail, (fault,))
    assert look().location is None


def test_a_mended_file_is_fine_again(hub: Path) -> None:
    weights = put(hub) / WEIGHTS
    flip(weights)
    compare([look()])
    flip(weights)
    os.utime(weights)
    assert look().state("hf").state == "complete"
    assert compare([look()]) == ()
    flip(weights)
    os.utime(weights, (1_000, 1_000))
    assert [fault.name for fault in compare([look()])] == [WEIGHTS]


def test_a_file_found_corrupt_is_compared_again_when_asked(hub: Path) -> None:
    weights = put(hub) / WEIGHTS
    found_corrupt(weights)
    assert look().state("hf").state == "damaged"
    assert compare([look()]) == ()
    assert look().state("hf").state == "complete"


def test_the_payload_in_the_shared_store_is_compared_with_the_name_of_the_first_hop(hub: Path) -> None:
    snapshot = put(hub)
    blob = payload(snapshot / WEIGHTS)
    shared = hub / "blobs" / "ab" / ("ab" * 32)
    shared.parent.mkdir(parents=True)
    (hub / "blobs" / ".huggingface-shared-blobs").write_text("1\n")
    blob.rename(shared)
    blob.symlink_to(os.path.relpath(shared, blob.parent))
    assert compare([look()]) == ()
    flip(shared)
    (fault,) = compare([look()])
    assert fault.path == snapshot / WEIGHTS


def test_checkpoints_are_compared_with_the_catalogue(places: Path) -> None:
    path = places / "models" / "toy.pt"
    path.parent.mkdir()
    path.write_bytes(CHECKPOINT)
    url = f"https://example.invalid/{sha256(CHECKPOINT)}/toy.pt"
    good = ModelSpec("openai", url, (RequiredFile(("toy.pt",), sha256(CHECKPOINT)),))
    assert compare([look(good)]) == ()
    other = replace(good, files=(RequiredFile(("toy.pt",), "0" * 64),))
    (fault,) = compare([look(other)])
    assert (fault.path, fault.kind) == (path, "corrupt")


def test_files_without_a_known_hash_are_said(places: Path) -> None:
    folder = places / "models" / "org--name"
    folder.mkdir(parents=True)
    for name, data in GOOD.items():
        (folder / name).write_bytes(data)
    assert compare([look()]) == ()
    assert [file.name for file in without_hash([look()])] == ["config.json", WEIGHTS]
    assert with_hash([look()]) == ()


def test_what_is_missing_or_broken_is_left_to_others(hub: Path) -> None:
    snapshot = put(hub, manifest=True)
    payload(snapshot / "config.json").unlink()
    payload(snapshot / WEIGHTS).write_bytes(b"short")
    assert with_hash([look()]) == ()
    assert compare([look()]) == ()


def test_a_payload_that_two_models_share_is_read_once(hub: Path, places: Path) -> None:
    put(hub)
    both = [look(), look(replace(SPEC, variant="other"))]
    assert len(with_hash(both)) == 2
    told: list[tuple[int, int]] = []
    checksum(both, lambda done, total: told.append((done, total)), threading.Event())
    assert told[-1] == (sum(map(len, GOOD.values())),) * 2


def test_the_fallback_is_compared_too(hub: Path) -> None:
    flip(put(hub, repository="org/plain") / WEIGHTS)
    spec = ModelSpec("hub", "org/quantised", SPEC.files, fallback=replace(SPEC, source="org/plain"))
    (fault,) = compare([look(spec)])
    assert "models--org--plain" in str(fault.path)


def test_the_built_in_model_is_compared_with_its_own_notes(places: Path, unpacked: object) -> None:
    import shutil

    from backends.catalogue import MLX_WHISPER

    source: Path = unpacked("mlx")  # type: ignore[operator]
    folder = places / "models" / "embedded" / source.parent.name / "mlx"
    shutil.copytree(source, folder)
    assert compare([look(MLX_WHISPER["nano"])]) == ()
    flip(folder / WEIGHTS)
    (fault,) = compare([look(MLX_WHISPER["nano"])])
    assert fault.path == folder / WEIGHTS
    assert look(MLX_WHISPER["nano"]).state("local").state == "damaged"
    assert look(MLX_WHISPER["nano"]).usable  # it is unpacked anew


def test_cancelling_remembers_nothing_false(hub: Path) -> None:
    put(hub)
    cancelled = threading.Event()
    cancelled.set()
    assert checksum([look()], lambda done, total: None, cancelled) == ()
    assert not checksums_file().exists()


def test_a_file_that_cannot_be_read_is_a_fault(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = put(hub)

    def fail(self: object, job: hashing.HashJob, buffer: memoryview) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(hashing._Work, "_digest", fail)
    faults = compare([look()])
    assert {fault.kind for fault in faults} == {"unreadable"}
    assert faults[0].detail == "config.json cannot be read: input/output error"
    assert verdict(snapshot / WEIGHTS) is None


def test_the_job_says_what_is_damaged_and_how_many_were_compared(hub: Path) -> None:
    weights = put(hub, manifest=True) / WEIGHTS
    good = Checksum([look()])
    good.run()
    assert good.result == Sums(2, (), ())
    assert (good.view.state, words(good.view.rows[0])) == ("done", "2 files have the hash that they should have")
    flip(weights)
    bad = Checksum([look()])
    seen: list[JobView] = []
    bad.listener = seen.append
    bad.run()
    assert bad.result is not None and [fault.name for fault in bad.result.wrong] == [WEIGHTS]
    assert bad.view.state == "failed" and bad.view.summary.startswith("1 damaged: weights.safetensors does not match")
    assert any(row.share is not None for view in seen for row in view.rows)


def test_a_cancelled_job_has_no_result(hub: Path) -> None:
    put(hub)
    job = Checksum([look()])
    job.cancel()
    job.run()
    assert (job.view.state, job.result) == ("cancelled", None)
