"""Downloading models as both front ends do it: where each goes, what is downloaded with it, what comes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from caches import safetensors
from downloading import FILES, add_model, assert_complete, folder, large_bytes, partial, size_of, weights
from misbehaviour import Stall
from server import HOST, HubServer

from backends.base import BackendEntry, ModelSpec
from speedtest_tui.core.download.request import Patience
from speedtest_tui.core.jobs.download import Download, Downloaded, To, wanted
from speedtest_tui.core.jobs.job import JobView, words
from speedtest_tui.core.models.inspect import inspect_model
from speedtest_tui.core.repair import trash
from speedtest_tui.core.repair.undo import find, undo

DATA = safetensors(weights(1_500_000))
ENTRY = BackendEntry("toy", "toys.well:Well")
SPEC = ModelSpec("hub", "org/model", FILES)


def roots(places: Path) -> dict[str, Path]:
    return {"hf": places / "home/.cache/huggingface/hub", "local": places / "models"}


def begin(root: Path, count: int, source: str = "org/model") -> Path:
    """Leave a partial of the large file, as a download that was cut does."""
    file = partial(root, DATA, source)
    file.parent.mkdir(parents=True)
    file.write_bytes(DATA[:count])
    return file


def download(spec: ModelSpec = SPEC, to: To | None = None, **facts: Any) -> tuple[Download, list[JobView]]:
    job = Download([inspect_model(ENTRY, spec, ("tiny",))], to, Patience(stall_s=20.0, first_wait_s=0.0), **facts)
    seen: list[JobView] = []
    job.listener = seen.append
    job.run()
    assert job.error is None
    return job, seen


def result(job: Download) -> Downloaded:
    assert job.result is not None
    return job.result


@pytest.mark.parametrize("cache", ["hf", "local"])
def test_it_resumes_where_the_partial_lies(hub: HubServer, online: dict[str, str], places: Path, cache: str) -> None:
    commit = add_model(hub, DATA)
    begin(roots(places)[cache], 1_000_000)
    job, seen = download()
    assert (job.view.state, result(job).ok) == ("done", True)
    assert_complete(roots(places)[cache], DATA, commit)
    assert large_bytes(hub) == len(DATA) - 1_000_000
    assert job.view.summary == "1 downloaded"
    row = job.view.rows[0]
    assert (row.key, row.title, row.backends, words(row)) == ("org/model", "org/model", ("toy",), "1.5 MB, verified")
    notes = {row.note for view in seen for row in view.rows if row.state == "running"}
    assert any(note.startswith(f"contacting {HOST}") for note in notes)


def test_a_cache_that_was_named_wins(hub: HubServer, online: dict[str, str], places: Path) -> None:
    commit = add_model(hub, DATA)
    left = begin(roots(places)["local"], 1_000_000)
    job, _ = download(to="hf")
    assert job.view.state == "done"
    assert_complete(roots(places)["hf"], DATA, commit)
    assert size_of(left) == 1_000_000


def test_of_two_partials_the_larger_one_is_resumed(hub: HubServer, online: dict[str, str], places: Path) -> None:
    add_model(hub, DATA)
    begin(roots(places)["hf"], 100)
    begin(roots(places)["local"], 1_000_000)
    (one,) = wanted([inspect_model(ENTRY, SPEC, ("tiny",))])
    assert one.request is not None and one.request.cache == "local"


def test_the_fallback_has_a_partial_of_its_own(hub: HubServer, online: dict[str, str], places: Path) -> None:
    commit = add_model(hub, DATA)
    begin(roots(places)["local"], 1_000_000)
    job, _ = download(ModelSpec("hub", "org/model-q4", FILES, fallback=SPEC))
    first, second = job.view.rows
    # Nobody has to do anything about the first one.
    assert (first.state, first.note) == (
        "skipped", "org/model-q4 is not on the hub, or is private; downloading org/model instead"
    )  # fmt: skip
    assert (second.state, second.backends) == ("done", ("toy",))
    assert (job.view.state, job.view.summary, result(job).ok) == ("done", "1 downloaded", True)
    assert_complete(roots(places)["local"], DATA, commit)


def test_what_is_complete_anywhere_is_not_downloaded_again(
    hub: HubServer, online: dict[str, str], places: Path
) -> None:
    add_model(hub, DATA)
    download(to="local")
    hub.forget()
    job, _ = download()
    assert (job.view.rows[0].state, words(job.view.rows[0])) == (
        "skipped",
        "already complete in the local cache (1.5 MB)",
    )
    assert result(job).ok and result(job).rows == ()
    assert not hub.requests


def test_damaged_files_are_downloaded_again_and_kept(hub: HubServer, online: dict[str, str], places: Path) -> None:
    commit = add_model(hub, DATA)
    download()
    root = roots(places)["hf"]
    damaged = (folder(root) / "snapshots" / commit / "weights.safetensors").resolve()
    damaged.write_bytes(DATA[:1000])
    job, _ = download()
    assert job.view.state == "done"
    assert_complete(root, DATA, commit)
    undo(find())
    assert damaged.read_bytes() == DATA[:1000]


def test_a_list_that_a_download_replaces_comes_back_with_an_undo(
    hub: HubServer, online: dict[str, str], places: Path
) -> None:
    commit = add_model(hub, DATA)
    download()
    repository = folder(roots(places)["hf"])
    listed, weights = repository / "trees" / f"{commit}.json", repository / "snapshots" / commit / "weights.safetensors"
    whole = listed.read_bytes()
    for old in (b'{"format_version": 1, "files": {}}', b"damaged", whole):
        listed.write_bytes(old)
        weights.unlink()
        download()
        assert listed.read_bytes() == whole
        if old != whole:
            undo(find())
        assert listed.read_bytes() == old
    assert all(entry.undone or entry.undoes for entry in trash.entries())


def test_cancelled_and_resumed(hub: HubServer, online: dict[str, str], places: Path) -> None:
    commit = add_model(hub, DATA)
    hub.misbehave("/lfs/*", Stall(after=1_000_000))
    job = Download([inspect_model(ENTRY, SPEC, ("tiny",))])
    job.start()
    assert hub.wait(lambda hub: hub.stalled)
    job.cancel()
    job.join(30)
    assert (job.view.state, job.view.summary) == (
        "cancelled", "1 cancelled; the same download resumes where it stopped"
    )  # fmt: skip
    assert result(job).cancelled and not result(job).ok
    kept = size_of(partial(roots(places)["hf"], DATA))
    hub.behave()
    hub.forget()
    assert download()[0].view.state == "done"
    assert large_bytes(hub) == len(DATA) - kept
    assert_complete(roots(places)["hf"], DATA, commit)


def test_a_failure_comes_with_advice(hub: HubServer, online: dict[str, str], places: Path) -> None:
    job, _ = download()
    (row,) = job.view.rows
    assert row.state == "failed" and row.advice is not None
    assert "is not on the hub" in row.advice.what and "check the name" in row.advice.todo
    assert job.view.summary == f"1 failed: {row.advice}"
    assert job.view.needs_you and not result(job).ok


def test_a_model_that_does_not_exist_yet_and_one_that_needs_no_download(places: Path) -> None:
    none = inspect_model(ENTRY, replace(SPEC, missing_reason="nobody has published it"), ("tiny",))
    own = inspect_model(ENTRY, ModelSpec("bundled", "toy/model"), ("tiny",))
    job = Download([none, own])
    job.run()
    assert [(row.state, words(row)) for row in job.view.rows] == [
        ("failed", "nobody has published it"),
        ("skipped", "comes with the program: there is nothing to download"),
    ]
    assert (job.view.state, result(job).ok) == ("failed", False)


def test_backends_that_share_a_model_share_a_row(places: Path) -> None:
    reports = [inspect_model(entry, SPEC, ("tiny",)) for entry in (ENTRY, BackendEntry("other", "toys.well:Well"))]
    assert [row.backends for row in Download(reports).view.rows] == [("toy", "other")]
    assert json.dumps([one.source for one in wanted(reports)]) == '["org/model"]'
