"""A folder for data or settings that cannot be used: every command says what bars the way, in one line, and races on.

Each kind is made in a private place; the commands run in a child that may do no more than its owner.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from documents import build, clip
from racing import TESTS

from speedtest_tui.core import disk, settings
from speedtest_tui.core.audio import recording
from speedtest_tui.core.locations import sessions_folder, spool_folder
from speedtest_tui.core.sessions import store

COMMANDS = (
    ("sessions", "list"), ("sessions", "list", "--json"), ("sessions", "show", "last"), ("sessions", "show", "2026"),
    ("sessions", "compare", "last"), ("sessions", "export", "last", "--csv", "-"), ("record", "x.wav", "--recover"),
    ("repair", "--trash"), ("repair", "--empty-trash"), ("repair", "--undo", "x"), ("doctor",),
)  # fmt: skip

CODE = """
import contextlib, io, json, sys
from speedtest_tui.cli.main import run
from speedtest_tui.core.jobs.race import Keeper, headline_since
from documents import clip, build, plan_of, ended, good_row
told = []
for command in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(command)
    told.append([code, out.getvalue(), err.getvalue()])
rows = (good_row("a", (0.1, 0.1)), good_row("b", (0.2, 0.2)))
kept = Keeper(plan_of(*rows), clip())(ended(*rows))
told.append([len(kept.document.results), headline_since(kept), str(kept.advice)])
print(json.dumps(told))
"""


def as_owner(command: list[str]) -> list[str]:
    """A command without root's right to read and write everything."""
    if os.getuid():
        return command
    if not (program := shutil.which("setpriv")):
        pytest.skip("only root is here, and no setpriv")
    rights = "-dac_override,-dac_read_search"
    return [program, "--bounding-set", rights, "--inh-caps", rights, *command]


def locked(path: Path) -> None:
    store.save(build(), clip())
    path.chmod(0)


def linked(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.symlink_to("nowhere")


def a_file(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")


KINDS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "data is locked": ("data", locked, "may not be opened"),
    "data is a file": ("data", a_file, "is a file where a folder belongs"),
    "data is a broken link": ("data", linked, "is a link to nowhere, which does not exist"),
    "a part of its path is a file": ("data/..", lambda path: a_file(path.parent), "is a file where a folder belongs"),
    "sessions are locked": ("data/sessions", locked, "may not be opened"),
    "sessions are a file": ("data/sessions", a_file, "is a file where a folder belongs"),
    "sessions are a broken link": ("data/sessions", linked, "is a link to nowhere, which does not exist"),
    "its name is too long": ("a" * 300, lambda path: None, "ame too long"),
    "it leads to itself": ("data", lambda path: path.symlink_to("data"), "symbolic links"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_bars_the_way_is_said_in_one_line(kind: str, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where, make, words = KINDS[kind]
    path = places / where
    if where.endswith(".."):
        path = places / "data" / "inner"
        monkeypatch.setenv("SPEEDTEST_DATA_DIR", str(path))
    elif len(where) > 255:
        monkeypatch.setenv("SPEEDTEST_DATA_DIR", str(path))
    make(path)
    command = as_owner([sys.executable, "-c", CODE, json.dumps(COMMANDS)])
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
    done = subprocess.run(command, cwd=places, env=environment, capture_output=True, text=True, check=False)
    if disk.is_folder(path) and not path.is_symlink():
        path.chmod(0o700)
    assert done.returncode == 0, done.stderr
    *told, (results, since, advice) = json.loads(done.stdout)
    only_sessions = "sessions" in where
    for typed, (code, out, err) in zip(COMMANDS, told, strict=True):
        if typed[0] == "doctor" or (only_sessions and typed[0] != "sessions"):
            assert "Traceback" not in err
        else:
            assert (code, out, err.count("\n")) == (2, "", 1), (typed, code, out, err)
            assert words in err and len(err) < 500, err
    assert (results, since) == (2, "") and words in advice and "could not be saved" in advice


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def older(root: Path, outside: Path) -> None:
    """What an earlier version left, with links and other names of what is not ours."""
    folder = root / "20260101T000000"
    folder.mkdir(parents=True)
    for file in (folder / "session.json", folder / "clip.flac", root / "20260101-000000-abc.f32"):
        file.write_text("{}")
    outside.mkdir()
    (outside / "thesis").write_text("years of work")
    (folder / "link").symlink_to(outside / "thesis")
    (root / "linked").symlink_to(outside)
    os.link(outside / "thesis", folder / "thesis")


@pytest.mark.parametrize("meet", [store.names, lambda: store.save(build(), clip())], ids=["list", "save"])
def test_sessions_of_an_earlier_version_are_closed(meet: Callable[[], object], places: Path) -> None:
    older(sessions_folder(), places / "outside")
    sessions_folder().parent.chmod(0o750)
    meet()
    folder = sessions_folder() / "20260101T000000"
    assert mode(sessions_folder()) == mode(folder) == 0o700
    assert mode(folder / "session.json") == mode(folder / "clip.flac") == 0o600
    assert mode(places / "outside") == 0o755 and mode(places / "outside" / "thesis") == 0o644
    # The folder for data was named by its owner, who may share it.
    assert mode(sessions_folder().parent) == 0o750


def test_recordings_of_an_earlier_version_are_closed(places: Path) -> None:
    older(spool_folder(), places / "outside")
    recording.leftovers()
    assert mode(spool_folder()) == 0o700
    assert mode(places / "outside") == 0o755 and mode(places / "outside" / "thesis") == 0o644


def test_the_platform_s_folder_is_closed(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPEEDTEST_DATA_DIR")
    assert sessions_folder().is_relative_to(places)
    sessions_folder().parent.mkdir(parents=True)
    store.save(build(), clip())
    assert mode(sessions_folder().parent) == 0o700


def test_who_links_sessions_to_a_shared_folder_shares_them(places: Path) -> None:
    (places / "shared").mkdir()
    (places / "shared").chmod(0o770)
    (places / "data").mkdir()
    sessions_folder().symlink_to(places / "shared")
    folder = store.save(build(), clip())
    assert mode(places / "shared") == 0o770 and mode(folder) == 0o700
    assert store.names() == [folder.name]


def test_a_file_of_somebody_else_stays_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.getuid():
        pytest.skip("only root may give files away")
    monkeypatch.setenv("SPEEDTEST_CONFIG_DIR", str(tmp_path))
    for name in ("result.csv", "config.toml"):
        (tmp_path / name).write_text("# theirs\n")
        os.chown(tmp_path / name, 1234, 4321)
        (tmp_path / name).chmod(0o640)
    disk.write_where_asked(tmp_path / "result.csv", b"new")
    settings.save(settings.Settings(size="tiny"))
    for name in ("result.csv", "config.toml"):
        status = (tmp_path / name).stat()
        assert (status.st_uid, status.st_gid, mode(tmp_path / name)) == (1234, 4321, 0o640)
    assert (tmp_path / "result.csv").read_text() == "new"
