"""What macOS has moved to iCloud is told of everywhere and read nowhere: an audit hook sees what is opened."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from caches import GOOD, SPEC, WEIGHTS, hub_cache, plain_folder, safetensors
from repairing import planned, reports

from backends.base import ModelSpec, RequiredFile
from speedtest_tui.cli.main import run
from speedtest_tui.core import darwin
from speedtest_tui.core.accuracy.reference import from_option
from speedtest_tui.core.audio.decode import load_clip
from speedtest_tui.core.convert.convert import convert
from speedtest_tui.core.convert.preview import look
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models.duplicates import duplicates
from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.models.hashes import checksum, hash_files, with_hash
from speedtest_tui.core.models.scan import scan
from speedtest_tui.core.models.status import CacheName
from speedtest_tui.core.models.wording import long, of_caches, short
from speedtest_tui.ui.workers.folder import matching, read

EVICTED = 1_111_111_111
"""The time of change, in seconds, by which a test's file is known to be evicted."""

LARGE = {"config.json": b"{}", WEIGHTS: safetensors(1_000_100)}
PT = ModelSpec("openai", "org/x.pt", (RequiredFile(("x.pt",)),))
CALLED: list[list[Path]] = []


def listen(event: str, words: tuple[object, ...]) -> None:
    if event == "open" and CALLED and isinstance(words[0], str | bytes):
        with contextlib.suppress(OSError, ValueError):
            path = Path(os.fsdecode(words[0]))
            if path.is_file() and path.stat().st_mtime == EVICTED:
                CALLED[0].append(path)


sys.addaudithook(listen)


@pytest.fixture(autouse=True)
def nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(darwin, "flags", lambda status: darwin.SF_DATALESS if status.st_mtime == EVICTED else 0)
    opened: list[Path] = []
    CALLED.append(opened)
    yield
    CALLED.clear()
    assert opened == []


@pytest.fixture
def home(places: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(places / "hub"))
    return places


def evict(path: Path, placeholder: bool = False) -> Path:
    """As a system does: today by a flag, before macOS 14 by a note in its place."""
    path = path.resolve()
    if placeholder:
        path.rename(path.with_name(f".{path.name}.icloud"))
    else:
        os.utime(path, (EVICTED, EVICTED))
    return path


def hub(places: Path) -> Path:
    return hub_cache(places / "hub", "org/name", LARGE).file(WEIGHTS)


def other_file(places: Path) -> Path:
    return hub_cache(places / "hub", "org/name", LARGE).file("config.json")


def plain(places: Path) -> Path:
    return plain_folder(places / "models/org/name", LARGE) / WEIGHTS


def uncertain(places: Path) -> Path:
    return plain_folder(places / "models/name", LARGE) / WEIGHTS


def checkpoint(places: Path) -> Path:
    path = places / "home/.cache/whisper/x.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 3_000_000)
    return path


@pytest.mark.parametrize("placeholder", [False, True], ids=["flag", "placeholder"])
@pytest.mark.parametrize(
    ("made", "cache", "spec"),
    [(hub, "hf", SPEC), (other_file, "hf", SPEC), (plain, "local", SPEC), (checkpoint, "whisper", PT)],
)
def test_a_model(
    home: Path, made: Callable[[Path], Path], cache: CacheName, spec: ModelSpec, placeholder: bool
) -> None:
    path = made(home)
    assert path.exists()
    evict(path, placeholder)
    state = examine(spec, cache)
    assert (state.state, state.detail) == ("evicted", f"{path.name} is in iCloud, not here")
    assert long(state)[0] == "○ in iCloud"
    assert len(short(state)[0]) <= 9
    assert state.obstacle
    assert state.obstacle.todo.startswith("download it in Finder, or run `brctl download /")
    found = reports(spec)
    assert not found[0].usable
    assert path.resolve() not in with_hash(found)
    assert checksum(found, lambda *_: None, threading.Event()) == ()
    rows = list(scan())
    assert any(fault.kind == "evicted" and fault.todo for row in rows for fault in row.faults), rows
    assert any("iCloud" in str(problem.advice) for problem in of_caches(rows, [], []))
    plan = planned(spec)
    assert plan.steps == ()
    assert any("iCloud" in note.advice.what for note in plan.notes)
    duplicates(
        rows, lambda jobs, *_: hash_files(jobs, lambda *_: None, threading.Event()), lambda *_: None, threading.Event()
    )


def test_where_only_a_name_speaks_for_it(places: Path) -> None:
    evict(uncertain(places))
    assert examine(SPEC, "local").state == "evicted"


@pytest.mark.parametrize("name", ["refs/main", "trees", "snapshots", "blobs", "."])
def test_what_else_a_repository_has(home: Path, name: str) -> None:
    made = hub_cache(home / "hub", "org/name", GOOD)
    evict(made.folder / name if name != "trees" else made.manifest)
    rows = list(scan())
    assert [
        fault.kind for row in rows for fault in row.faults if fault.kind == "evicted" or fault.todo
    ] or name == "trees"
    assert examine(SPEC, "hf").state == ("complete" if name in ("refs/main", "trees", "blobs") else "evicted")
    assert planned(SPEC).chosen == ()


def test_commands(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """check-models, its checksums, and repair: each names the file and what to do."""
    folder = home / "models" / "own"
    plain_folder(folder, {"config.json": b"{}", "model.safetensors": safetensors(100)})
    evict(folder / "model.safetensors")
    for words in (["check-models", "--all"], ["check-models", "--all", "--checksum"], ["repair", "--all"]):
        run(words)
        text = " ".join("".join(capsys.readouterr()).split())
        assert "model.safetensors is in iCloud, not here" in text, text
        assert "brctl download" in text, text


@pytest.mark.parametrize("placeholder", [False, True], ids=["flag", "placeholder"])
@pytest.mark.parametrize(
    "use",
    [
        load_clip,
        lambda path: from_option(f"@{path}"),
        lambda path: look(path, threading.Event()),
        lambda path: convert(path, path.with_name("new")),
    ],
    ids=["audio", "reference", "look into", "convert"],
)
def test_a_file_that_somebody_names(tmp_path: Path, use: Callable[[Path], object], placeholder: bool) -> None:
    path = tmp_path / "my talk.nemo"
    path.write_bytes(b"x" * 5000)
    evict(path, placeholder)
    with pytest.raises(UserError, match="is in iCloud, not here") as caught:
        use(path)
    assert caught.value.advice.todo == f"download it in Finder, or run `brctl download '{path}'`"


@pytest.mark.parametrize("placeholder", [False, True], ids=["flag", "placeholder"])
def test_the_list_of_files_to_open(tmp_path: Path, placeholder: bool) -> None:
    (tmp_path / "talk.wav").write_bytes(b"x" * 5000)
    evict(tmp_path / "talk.wav", placeholder)
    assert [(entry.name, entry.away) for entry in matching(read(tmp_path), "")] == [("talk.wav", True)]


def test_the_flag() -> None:
    """As xnu sets it, among others; systems without flags have none."""
    assert darwin.SF_DATALESS == 0x40000000
    assert [darwin.stands_for(name) for name in (".a.wav.icloud", ".icloud", "a.icloud", ".a")] == ["a.wav", "", "", ""]


def test_the_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert darwin.is_evicted(SimpleNamespace(st_flags=0x40000020))  # type: ignore[arg-type]
    assert not darwin.is_evicted(SimpleNamespace(st_flags=0x20))  # type: ignore[arg-type]
    assert not darwin.is_evicted(Path(__file__).stat())
