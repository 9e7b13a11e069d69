"""Checking and repairing agree: a plan is empty exactly where a check finds nothing, before and after each damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event

import damage
import pytest
from caches import HubCache, hub_cache, plain_folder, safetensors, shared_store, write
from downloading import FILES, add_model, weights
from repairing import apply, planned, reports
from server import HubServer

from backends.base import ModelSpec
from speedtest_tui.core import locations
from speedtest_tui.core.models import wording
from speedtest_tui.core.models.hashes import checksum
from speedtest_tui.core.models.scan import scan
from speedtest_tui.core.repair.step import Step

CONFIG = b'{"model_type": "whisper"}'
REPOSITORY, NAME = "org/model", "weights.safetensors"
WEIGHTS = safetensors(weights(300_000))
SPECS = {
    "a backend's model": (ModelSpec("hub", REPOSITORY, FILES),),
    "nobody's model": (),
}

Harm = Callable[[HubCache], object]
DAMAGES: dict[str, Harm] = {
    "nothing": lambda made: None,
    "truncated": lambda made: damage.truncate(made.blob(NAME)),
    "too long": lambda made: damage.extend(made.blob(NAME)),
    "another content": lambda made: damage.flip_byte(made.blob(NAME)),
    "a pointer": lambda made: damage.pointer(made.blob(NAME)),
    "empty": lambda made: damage.empty(made.blob(NAME)),
    "empty configuration": lambda made: damage.empty(made.blob("config.json")),
    "no header": lambda made: damage.garbage(made.blob(NAME)),
    "a folder for a file": lambda made: damage.folder_for_file(made.blob(NAME)),
    "broken link": lambda made: damage.break_link(made.file(NAME)),
    "file and blob gone": lambda made: damage.remove_file(made, NAME),
    "only the link gone": lambda made: damage.unlink_from_snapshot(made, NAME),
    "no ref": damage.remove_ref,
    "half a ref": damage.half_write_ref,
    "a ref to nowhere": damage.point_ref_nowhere,
    "a ref that escapes": damage.escape_ref,
    "no list": damage.remove_manifest,
    "half a list": damage.corrupt_manifest,
    "a list that escapes": damage.escape_manifest,
    "a link that escapes": lambda made: damage.escape_link(made.file(NAME), secret(made)),
    "a partial": lambda made: (damage.remove_file(made, NAME), damage.hub_partial(made, NAME, 1000)),
    "an orphaned partial": damage.orphan_partial,
    "a superfluous partial": lambda made: damage.superfluous_partial(made, NAME),
    "a stale lock": lambda made: damage.stale_lock(made, NAME),
    "a note that a file does not exist": lambda made: damage.no_exist(made, "x.json"),
    "a foreign file": lambda made: damage.foreign_file(made.root),
    "a hollow repository": lambda made: damage.hollow(made.root, "org/hollow"),
    "a payload gone": lambda made: (shared_store(made, NAME), damage.remove_payload(made, NAME)),
    "a payload cut short": lambda made: damage.truncate(shared_store(made, NAME)),
    "a file of ours in the whisper cache": lambda made: write(locations.whisper_cache() / "notes.txt", b"mine"),
    "no marker": lambda made: (shared_store(made, NAME), damage.remove_marker(made)),
    "a repository gone": lambda made: (damage.stale_lock(made, NAME), damage.remove_repository(made)),
    "another layout": lambda made: damage.wrong_layout(made.snapshot),
    "a plain copy in another layout": lambda made: plain_folder(
        locations.local_cache() / "org--model", {"config.json": CONFIG, "model.safetensors": WEIGHTS}
    ),
}


def secret(made: HubCache) -> Path:
    write(made.root.parent / "secret", b"mine")
    return made.root.parent / "secret"


def found(specs: tuple[ModelSpec, ...]) -> list[str]:
    """What `check-models --all` says, but that a model is nowhere."""
    checksum(reports(*specs), lambda *_: None, Event())
    looked = reports(*specs)
    said = [one for each in looked for one in wording.of_report(each, named=True) if one.kind != "missing"]
    return [f"{one.kind}: {one.advice.what}" for one in (*said, *wording.of_caches(list(scan()), (), looked))]


def needed(specs: tuple[ModelSpec, ...]) -> tuple[list[Step], list[str]]:
    """The steps, and what no step repairs."""
    whole = planned(*specs)
    return list(whole.steps), [str(note.advice) for note in whole.notes if note.cache is not None]


@pytest.mark.parametrize("whose", SPECS)
@pytest.mark.parametrize("harm", DAMAGES)
def test_a_plan_is_empty_exactly_where_a_check_finds_nothing(
    hub: HubServer, online: dict[str, str], whose: str, harm: str
) -> None:
    specs = SPECS[whose]
    commit = add_model(hub, WEIGHTS)
    made = hub_cache(locations.hf_cache(), REPOSITORY, {"config.json": CONFIG, NAME: WEIGHTS}, commit=commit)
    DAMAGES[harm](made)
    said = found(specs)
    steps, notes = needed(specs)
    assert bool(said) == bool(steps or notes), (said, [step.what for step in steps], notes)
    if not steps:
        return
    rows = apply(steps, *specs, tidy=True).rows
    assert {(row.state, row.message) for row in rows} <= {("done", "")}, [(row.step.what, row.message) for row in rows]
    left, (steps, notes) = found(specs), needed(specs)
    assert not steps, [step.what for step in steps]
    assert bool(left) == bool(notes), (left, notes)
    assert len(left) < len(said) or not notes
