"""Sessions of schema 1 as three earlier versions of the program wrote them are listed, shown, compared and exported.

tests/data/sessions holds them as they were saved, but for the folders that their paths name: of the first version that
kept sessions, of one with words and figures, of one with shared ranks and a recommendation.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from test_sessions_commands import command

from speedtest_tui.core.locations import sessions_folder
from speedtest_tui.core.sessions.store import Session, read

FILES = sorted((Path(__file__).parents[1] / "data" / "sessions").glob("*.json"))
FIRST, SECOND, THIRD = (file.stem for file in FILES)


@pytest.fixture(autouse=True)
def earlier(places: Path) -> None:
    for file in FILES:
        (sessions_folder() / file.stem).mkdir(parents=True)
        shutil.copy(file, sessions_folder() / file.stem / "session.json")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_they_hold_is_what_is_read(file: Path) -> None:
    session, kept = read(sessions_folder() / file.stem), json.loads(file.read_text(encoding="utf-8"))
    assert isinstance(session, Session) and kept["schema"] == 1
    document = session.document
    names = {one["backend"]: f"{one['backend']}:nano" for one in kept["results"]}
    assert (document.schema, document.plan.candidates) == (2, tuple(names.values()))
    assert document.verdict.fastest == names[kept["verdict"]["fastest"]]
    assert document.verdict.recommended == tuple(names[one] for one in kept["verdict"].get("recommended", ()))
    for new, old in zip(document.results, kept["results"], strict=True):
        assert (new.candidate, new.label, new.size) == (names[old["backend"]], old["backend"], "nano")
        assert new.tied == tuple(names[one] for one in old.get("tied", ()))
        assert (new.rank, list(new.runs_s), new.wer, new.cer) == (old["rank"], old["runs_s"], old["wer"], None)
        assert (new.energy_j, new.throttled) == (None, None)
        assert new.model is None or new.model.family in ("whisper", "parakeet", "canary", "pocketsphinx")


def test_they_are_listed_with_who_was_fastest() -> None:
    done = command("list")
    assert (done.returncode, done.stderr) == (0, "")
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert "pocketsphinx" in lines[FIRST] and "parakeet-mlx" in lines[SECOND] and "parakeet-mlx" in lines[THIRD]
    (third,) = (one for one in json.loads(command("list", "--json").stdout)["sessions"] if one["name"] == THIRD)
    assert third["verdict"]["recommended"] == ["canary-mlx:nano"]


@pytest.mark.parametrize("name", [FIRST, SECOND, THIRD])
def test_they_are_shown_and_exported(name: str) -> None:
    done = command("show", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert "size nano" in done.stdout and " mlx-whisper " in done.stdout
    assert json.loads(command("show", name, "--json").stdout)["schema"] == 2
    assert "| mlx-whisper |" in command("export", name).stdout
    assert command("export", name, "--csv", "-").stdout.splitlines()[1].split(",")[0].endswith(":nano")
    assert "mlx-whisper" in command("export", name, "--html", "-").stdout


def test_they_are_compared_with_each_other() -> None:
    done = command("compare", FIRST, THIRD, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = {one["candidate"]: one["change"] for one in json.loads(done.stdout)["backends"]}
    assert found["canary-mlx:nano"] == "new" and found["pocketsphinx:nano"] in ("same", "slower", "faster", "unclear")
    assert command("compare", "last").stdout.splitlines()[0].startswith(f"before  {SECOND} · ")
