"""A repair as both front ends do it: the steps, then whether the models are complete and load; undo and the trash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from caches import SPEC, put
from racing import entry
from repairing import planned
from toys import faulty, well

from speedtest_tui.core import locations
from speedtest_tui.core.jobs.job import JobView, words
from speedtest_tui.core.jobs.repair import EmptyTrash, Repair, Undo
from speedtest_tui.core.models.inspect import inspect_model
from speedtest_tui.core.models.remembered import VERIFICATIONS
from speedtest_tui.core.repair import trash

pytestmark = pytest.mark.usefixtures("toys")
WELL, BROKEN = entry(well.Well), entry(faulty.RaisesInLoad)


@pytest.fixture(autouse=True)
def one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toys run the model that the caches hold."""
    for toy in (well.Well, faulty.RaisesInLoad):
        monkeypatch.setattr(toy, "model", lambda self, size: SPEC)


@pytest.fixture
def broken_ref(hub: Path) -> Path:
    """A model whose only fault is that its ref is missing."""
    return put(hub, manifest=True, ref=False)


def repair(toy: object = WELL, *, verify: bool = True) -> tuple[Repair, list[JobView]]:
    entries = (toy,)
    reports = [inspect_model(toy, SPEC, ("tiny",))]  # type: ignore[arg-type]
    job = Repair(planned(SPEC).chosen, reports, entries, verify=verify)  # type: ignore[arg-type]
    seen: list[JobView] = []
    job.listener = seen.append
    job.run()
    assert job.error is None
    return job, seen


def test_the_models_are_examined_and_loaded_afterwards(broken_ref: Path) -> None:
    job, seen = repair()
    step, check = job.view.rows
    assert (step.state, step.backends) == ("done", ("Well",))
    assert (check.title, check.state) == ("check Well name", "done")
    assert words(check).startswith("complete, loads and transcribes, loaded in 0.")
    assert job.result is not None and job.result.ok
    (found,) = job.result.checks
    assert (found.model, found.cache, found.ok) == ("org/name", "hf", True)
    assert (job.view.state, job.view.summary) == ("done", "1 done; 1 of 1 models complete and loading")
    doing = {row.note for view in seen for row in view.rows if row.state == "running"}
    assert {"reading its files", "loading its model"} <= doing
    assert len(VERIFICATIONS.known()) == 1


def test_without_verifying_nothing_is_loaded(broken_ref: Path) -> None:
    job, _ = repair(verify=False)
    assert (job.view.state, job.view.summary) == ("done", "1 done; 1 of 1 models complete")
    assert words(job.view.rows[1]) == "complete"
    assert not VERIFICATIONS.known()


def test_a_model_that_does_not_load_is_a_failure(broken_ref: Path) -> None:
    job, _ = repair(BROKEN)
    assert [row.state for row in job.view.rows] == ["done", "failed"]
    assert "does not load: " in words(job.view.rows[1])
    assert job.view.needs_you and job.result is not None and not job.result.ok


def test_what_was_declined_is_not_done_afterwards(broken_ref: Path) -> None:
    (broken_ref / "config.json").unlink()
    steps = planned(SPEC).chosen
    link = next(step for step in steps if step.path.name == "config.json")
    others = [step for step in steps if step is not link]
    assert others
    reports = [inspect_model(WELL, SPEC, ("tiny",))]
    job = Repair(others, reports, [WELL], verify=False, declined=[link])
    job.run()
    assert not (broken_ref / "config.json").exists()
    assert job.view.state == "failed"  # the model is not complete
    Repair(others, reports, [WELL], verify=False).run()
    assert (broken_ref / "config.json").exists()


def test_undo_and_the_trash(broken_ref: Path) -> None:
    first = Undo()
    first.run()
    assert (first.view.state, first.view.rows[0].state) == ("done", "skipped")
    assert first.view.summary == "there is nothing to undo"
    ref = broken_ref.parents[1] / "refs" / "main"
    repair(verify=False)
    assert ref.exists()
    undo = Undo()
    undo.run()
    assert (undo.view.state, undo.view.summary) == ("done", "2 changes undone")
    assert undo.result is not None and undo.result.complete
    assert not ref.exists()
    empty = EmptyTrash()
    empty.run()
    assert empty.view.rows[0].state == "done" and "freed" in empty.view.summary
    assert empty.result is not None and empty.result.left == ()
    assert not list(trash.entries())
    assert locations.hf_cache().is_dir()


def test_a_trash_that_resists_is_a_failure(broken_ref: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repair(verify=False)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "rename", refuse)
    empty = EmptyTrash()
    empty.run()
    assert empty.view.state == "failed" and empty.result is not None and len(empty.result.left) == 1
    assert "could not be emptied: check its permissions" in words(empty.view.rows[0])
