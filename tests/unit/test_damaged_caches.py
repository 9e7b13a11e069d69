"""Each damage of a repository and its one reading: the scan's fault, the model's status, and what repair plans.

The sentences about damage are pinned here and nowhere else.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from caches import COMMIT, GOOD, SPEC, WEIGHTS, etag, flip, found_corrupt, payload, put, safetensors
from repairing import planned, reports

from backends.base import ModelSpec
from speedtest_tui.core.models.scan import scan, use
from speedtest_tui.core.models.status import CacheName, StateName
from speedtest_tui.core.models.wording import of_caches, of_report

Damage = Callable[[Path], object]
"""Told the snapshot."""

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n"


@dataclass(frozen=True)
class Case:
    """A damage and its reading.

    detail: of the status, "OUT" standing for a folder outside the caches
    scanned, required: kinds of the faults in the scan's row, and in the model's status where they differ
    steps: kinds of the planned steps, those that are only offered in brackets; "note" where there is one
    listed: whether the repository has a list of its files (trees/<commit>.json); both ways where None
    """

    damage: Damage
    state: StateName
    detail: str
    scanned: str
    steps: str
    required: str | None = None
    listed: bool | None = None


def weights(change: Callable[[bytes], bytes]) -> Damage:
    return lambda snapshot: payload(snapshot / WEIGHTS).write_bytes(change(GOOD[WEIGHTS]))


def blob(snapshot: Path) -> Path:
    return snapshot.parents[1] / "blobs" / etag(WEIGHTS, GOOD[WEIGHTS])


def outside(snapshot: Path) -> Path:
    folder = snapshot.parents[4] / "outside"
    folder.mkdir()
    (folder / WEIGHTS).write_bytes(GOOD[WEIGHTS])
    return folder


def link_out(name: str) -> Damage:
    def damage(snapshot: Path) -> None:
        (snapshot / WEIGHTS).unlink()
        (snapshot / WEIGHTS).symlink_to(outside(snapshot) / name)

    return damage


def blob_out(snapshot: Path) -> None:
    blob(snapshot).unlink()
    blob(snapshot).symlink_to(outside(snapshot) / WEIGHTS)


def snapshot_out(snapshot: Path) -> None:
    shutil.rmtree(snapshot)
    snapshot.symlink_to(outside(snapshot))


def main_ref(snapshot: Path) -> Path:
    return snapshot.parents[1] / "refs" / "main"


def ref(text: bytes) -> Damage:
    return lambda snapshot: main_ref(snapshot).write_bytes(text)


def another_branch(snapshot: Path) -> None:
    main_ref(snapshot).rename(main_ref(snapshot).with_name("v1"))


def pipe(snapshot: Path) -> None:
    main_ref(snapshot).unlink()
    os.mkfifo(main_ref(snapshot))  # opening it would wait for ever


def tree(text: bytes) -> Damage:
    def damage(snapshot: Path) -> None:
        path = snapshot.parents[1] / "trees" / f"{COMMIT}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)

    return damage


def begun(snapshot: Path) -> None:
    payload(snapshot / WEIGHTS).unlink()
    blob(snapshot).with_name(f"{blob(snapshot).name}.0badc0de.incomplete").write_bytes(GOOD[WEIGHTS][:100])


def only_begun(snapshot: Path) -> None:
    begun(snapshot)
    shutil.rmtree(snapshot.parent)


def replaced(make: Callable[[Path], object], path: Callable[[Path], Path]) -> Damage:
    def damage(snapshot: Path) -> None:
        path(snapshot).unlink()
        make(path(snapshot))

    return damage


USED = f"; snapshot {COMMIT[:12]} is used"
SIZE = len(GOOD[WEIGHTS])
CASES = {
    "whole": Case(lambda _: None, "complete", "", "", ""),
    "cut short": Case(
        weights(lambda data: data[:-5]), "damaged", f"{WEIGHTS} is cut short: {SIZE - 5} of {SIZE} bytes",
        "truncated", "download",
    ),
    "longer than its header": Case(
        weights(lambda data: data + b"x"), "damaged", f"{WEIGHTS} is 1 byte longer than its header says",
        "truncated", "download", listed=False,
    ),
    "longer than the list says": Case(
        weights(lambda data: data + b"x"), "damaged", f"{WEIGHTS} is 1 byte longer than it should be",
        "truncated", "download", listed=True,
    ),
    "sound, but of another size": Case(
        weights(lambda _: safetensors(20)), "damaged",
        f"{WEIGHTS} is cut short: {len(safetensors(20))} of {SIZE} bytes",
        "truncated", "download", listed=True,
    ),
    "empty": Case(weights(lambda _: b""), "damaged", f"{WEIGHTS} is empty", "empty", "download"),
    "pointer": Case(
        weights(lambda _: POINTER), "damaged", f"{WEIGHTS} is a pointer to a large file, not the file",
        "lfs-pointer", "download",
    ),
    "zeros": Case(
        weights(lambda data: bytes(len(data))), "damaged", f"{WEIGHTS} does not begin as a safetensors file does",
        "corrupt", "download",
    ),
    "wrong hash": Case(
        lambda snapshot: (flip(snapshot / WEIGHTS), found_corrupt(snapshot / WEIGHTS)), "damaged",
        f"{WEIGHTS} does not match its checksum", "corrupt", "download",
    ),
    "no JSON": Case(
        lambda snapshot: payload(snapshot / "config.json").write_bytes(b"{1"), "damaged",
        "config.json is not valid JSON", "", "download", required="corrupt",
    ),
    "JSON of another size": Case(
        lambda snapshot: payload(snapshot / "config.json").write_bytes(b'{"other": 1}'), "damaged",
        "config.json is 10 bytes longer than it should be", "truncated", "download", listed=True,
    ),
    "folder for a file": Case(
        replaced(Path.mkdir, lambda snapshot: snapshot / WEIGHTS), "damaged", f"{WEIGHTS} is a folder",
        "", "download", required="unreadable", listed=False,
    ),
    "folder for a blob": Case(
        replaced(Path.mkdir, blob), "damaged", f"{WEIGHTS} is a folder where a file belongs",
        "unreadable", "download",
    ),
    "pipe for a blob": Case(
        replaced(os.mkfifo, blob), "damaged", f"{WEIGHTS} is not a regular file", "unreadable", "download",
    ),
    "blob gone": Case(
        lambda snapshot: blob(snapshot).unlink(), "broken-link", f"{WEIGHTS} is a broken link",
        "broken-link", "download",
    ),
    "blob begun": Case(begun, "partial", f"1 of 2 files, {102} of {SIZE + 2} bytes", "missing-file", "resume"),
    "only begun": Case(
        only_begun, "partial", f"0 of 2 files, {102} of {SIZE + 2} bytes", "",
        "relink resume", required="missing-file missing-file", listed=True,
    ),
    "link gone": Case(
        lambda snapshot: (snapshot / WEIGHTS).unlink(), "partial", f"1 of 2 files, {SIZE + 2} of {SIZE + 2} bytes",
        "", "relink", required="missing-file", listed=True,
    ),
    "file gone": Case(
        lambda snapshot: (snapshot / WEIGHTS).unlink(), "partial", "1 of 2 files, 2 bytes so far",
        "", "resume", required="missing-file", listed=False,
    ),
    "snapshot empty": Case(
        lambda snapshot: (shutil.rmtree(snapshot), snapshot.mkdir()), "partial", "0 of 2 files",
        "missing-file", "resume", required="missing-file missing-file", listed=False,
    ),
    "snapshot gone": Case(
        shutil.rmtree, "partial", "0 of 2 files",
        "bad-ref missing-file", "resume", required="missing-file missing-file", listed=False,
    ),
    "link out": Case(
        link_out(WEIGHTS), "damaged", f"{WEIGHTS} is a link to OUT/{WEIGHTS}, outside every cache, and not used",
        "escape", "relink", listed=True,
    ),
    "link out to nothing": Case(
        link_out("gone"), "damaged", f"{WEIGHTS} is a link to OUT/gone, outside every cache, and not used",
        "escape", "download", listed=False,
    ),
    "blob out": Case(
        blob_out, "damaged", f"{WEIGHTS} is a link to OUT/{WEIGHTS}, outside every cache, and not used",
        "escape", "download",
    ),
    "snapshot out": Case(
        snapshot_out, "damaged", f"snapshots/{COMMIT} is a link to OUT, outside every cache, and not used",
        "escape", "download",
    ),
    "no ref": Case(
        lambda snapshot: main_ref(snapshot).unlink(), "complete",
        f"refs/main is missing: nothing says that its snapshot is the current one{USED}", "bad-ref", "write-ref",
    ),
    "another branch only": Case(another_branch, "complete", "", "", ""),
    "empty ref": Case(ref(b""), "complete", f"refs/main is empty{USED}", "bad-ref", "write-ref"),
    "half a ref": Case(
        ref(COMMIT[:12].encode()), "complete", f"refs/main is half-written: 12 of 40 characters{USED}",
        "bad-ref", "write-ref",
    ),
    "ref that names a branch": Case(
        ref(b"v1"), "complete", f"refs/main does not name a commit{USED}", "bad-ref", "write-ref",
    ),
    "ref out": Case(
        ref(b"../../../../outside"), "complete", f"refs/main does not name a commit{USED}", "bad-ref", "write-ref",
    ),
    "ref too long": Case(
        ref(b"x" * 1_000_000), "complete", f"refs/main does not name a commit{USED}", "bad-ref", "write-ref",
    ),
    "ref of no text": Case(ref(b"\xff\xfe"), "complete", f"refs/main holds no text{USED}", "bad-ref", "write-ref"),
    "ref of another commit": Case(
        ref(b"f" * 40), "complete", f"refs/main names ffffffffffff, of which there is no snapshot{USED}",
        "bad-ref", "write-ref",
    ),
    "ref with a line break": Case(
        ref(COMMIT.encode() + b"\n"), "complete",
        f"refs/main has blanks around the commit, which make it another name{USED}", "bad-ref", "write-ref",
    ),
    "pipe for a ref": Case(pipe, "complete", f"refs/main is not a regular file{USED}", "bad-ref", "write-ref"),
    "folder for a ref": Case(
        replaced(Path.mkdir, main_ref), "complete",
        f"refs/main is missing: nothing says that its snapshot is the current one{USED}", "bad-ref", "write-ref",
    ),
    "damaged list": Case(
        tree(b"{"), "complete", f"trees/{COMMIT}.json, the list of a commit's files, cannot be read: it is damaged",
        "unreadable", "(trash)",
    ),
    "list of a later version": Case(tree(b'{"format_version": 7, "files": []}'), "complete", "", "", ""),
    "list that leads out": Case(
        tree(b'{"format_version": 1, "files": {"../../x": {"size": 1, "blob_id": "0"}}}'), "complete",
        f"trees/{COMMIT}.json names “../../x” whose place would be outside its folder; it is left out",
        "escape", "(trash)",
    ),
    "weights of another layout": Case(
        lambda snapshot: (snapshot / WEIGHTS).rename(snapshot / "model.safetensors"), "wrong-layout",
        f"{WEIGHTS} or weights.npz is missing; there is model.safetensors, which the backend does not read",
        "", "note", required="wrong-layout", listed=False,
    ),
    "foreign file": Case(
        lambda snapshot: (snapshot.parents[1] / "notes").touch(), "complete", "", "foreign", "note", required="",
    ),
    "partial of a whole file": Case(
        lambda snapshot: blob(snapshot).with_name(f"{blob(snapshot).name}.0badc0de.incomplete").write_bytes(b"x"),
        "complete", "", "orphaned-partial", "clear-partial", required="",
    ),
}  # fmt: skip

PLACES: tuple[tuple[CacheName, str, bool], ...] = (
    ("hf", "Zwischen speicher ü/hub", True),
    ("hf", "Zwischen speicher ü/hub", False),
    ("local", "meine Modelle", True),
    ("local", "meine Modelle/hub", False),
)


@pytest.fixture(params=PLACES, ids=lambda place: f"{place[1]}-{place[2]}")
def place(
    places: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> tuple[CacheName, Path, bool]:
    """A cache, its folder on a path with blanks and letters beyond ASCII, and whether repositories have lists."""
    monkeypatch.setenv("HF_HUB_CACHE", str(places / "x" / "Zwischen speicher ü" / "hub"))
    monkeypatch.setenv("SPEEDTEST_MODELS_DIR", str(places / "x" / "meine Modelle"))
    cache, folder, listed = request.param
    return cache, places / "x" / folder, listed


@pytest.mark.parametrize("name", CASES)
def test_one_reading(name: str, place: tuple[CacheName, Path, bool], places: Path) -> None:
    case, (cache, folder, listed) = CASES[name], place
    if case.listed not in (None, listed):
        pytest.skip("another sentence")
    snapshot = put(folder, manifest=listed)
    case.damage(snapshot)

    (row,) = rows = list(scan())
    (report,) = looked_up = reports(SPEC)
    state = report.state(cache)
    plan = planned(SPEC)
    assert sorted(fault.kind for fault in row.faults) == case.scanned.split()
    assert (state.state, state.detail.replace(str(snapshot.parents[4] / "outside"), "OUT")) == (case.state, case.detail)
    required = case.scanned if case.required is None else case.required
    assert sorted(fault.kind for fault in state.faults) == required.split()
    steps = [f"({step.kind})" if step.optional else step.kind for step in plan.steps]
    assert " ".join([*sorted(steps), *("note" for _ in plan.notes)]) == case.steps

    # What both say of one path is the same; what has a sentence has a name and can be printed.
    scanned = {fault.path: fault for fault in row.faults}
    assert all(scanned.get(fault.path, fault) == fault for fault in state.faults)
    assert all(fault.detail.isprintable() and fault.detail[-1] != "." for fault in (*row.faults, *state.faults))
    # A repair has something to do or to say exactly where a check has.
    problems = [*of_report(report, named=True), *of_caches(rows, use(rows), looked_up)]
    assert bool(problems) == bool(plan.steps or plan.notes)
    # The same where no backend wants the repository.
    other = ModelSpec("hub", "no/body")
    found = planned(other)
    problems = [*of_caches(rows, use(rows), reports(other))]
    assert bool(problems) == bool(
        found.steps or [note for note in found.notes if note.model in (row.name, "other files")]
    )
