"""`sessions compare` and `sessions export` as a user types them, on sessions that the program's own store wrote."""

from __future__ import annotations

import csv
import datetime
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from documents import STARTED, build, clip, failed_row, good_row

from speedtest_tui.core.sessions.store import save

FIRST, SECOND, THIRD = "20261120T123015", "20261120T133015", "20261120T143015"


def command(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "speedtest_tui", "sessions", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
    )


@pytest.fixture
def kept(places: Path) -> Path:
    """Three sessions an hour apart: two on one clip, b slower and with other words in the second, then another clip."""
    hour = datetime.timedelta(hours=1)
    a, b = good_row("a", (0.2, 0.21, 0.2)), good_row("b", (0.1, 0.11, 0.1))
    slow_b = good_row("b", (0.3, 0.31, 0.3), "hello where")
    other = clip("other|clip.wav")
    other = replace(other, samples=other.samples * 0.5)
    save(build(a, b), clip())
    save(build(a, slow_b, failed_row("c", "out of memory"), started=STARTED + hour), clip())
    save(build(good_row("z", (0.2, 0.2)), of=other, started=STARTED + 2 * hour), other)
    return places


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr of a command that refused."""
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("speedtest-tui: ") and done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("names", [(SECOND,), (SECOND, FIRST), (FIRST, SECOND), ("20261120T1330", "20261120T1230")])
def test_compare(kept: Path, names: tuple[str, ...]) -> None:
    done = command("compare", *names)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"before  {FIRST} · ")
    assert lines[1].startswith(f"after   {SECOND} · ")
    rows = {line.split()[0]: " ".join(line.split()) for line in lines[2:] if line.strip()}
    assert rows["a"] == "a = same 1.00× (0.95 to 1.05) 0.200 s → 0.200 s 0 % → 0 % same"
    assert rows["b"].startswith("b ▼ slower 3.00× (2.73 to 3.10) 0.100 s → 0.300 s 0 % → 50 % other words")
    assert rows["c"] == "c ✗ failed – – – –"
    assert "! c: failed: out of memory" in lines
    assert lines[-1] == "slower: b 3.00× (2.73 to 3.10); failed: c; same: a; 1 text changed"


def test_compare_as_json(kept: Path) -> None:
    done = command("compare", SECOND, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["schema"], found["before"], found["after"], found["per_second"]) == (2, FIRST, SECOND, False)
    by_name = {change["backend"]: change for change in found["backends"]}
    assert {name: change["change"] for name, change in by_name.items()} == {"a": "same", "b": "slower", "c": "failed"}
    assert by_name["b"]["ratio"]["value"] == pytest.approx(3.0)
    assert by_name["b"]["wer_change"] == 0.5
    assert found["headline"].startswith("slower: b")


def test_compare_with_another_clip_says_so(kept: Path) -> None:
    done = command("compare", "last", SECOND)
    assert done.returncode == 0
    assert "! clip was clip.wav (1.00 s), now other|clip.wav (1.00 s)" in done.stdout.splitlines()
    assert "second of audio" in done.stdout


def test_nothing_to_compare_with(kept: Path) -> None:
    assert "no earlier session" in refused(command("compare", FIRST))
    assert "no earlier session" in refused(command("compare", "last"))
    assert "both names mean" in refused(command("compare", FIRST, FIRST))
    assert "no session is called 'nix'" in refused(command("compare", FIRST, "nix"))
    assert "3 sessions begin with" in refused(command("compare", "2026"))


def test_export_is_markdown_by_default(kept: Path) -> None:
    done = command("export", "last")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("**★ Good enough: z 5.00×, 0 % wrong.**\n\nonly z took part: nothing to compare\n")
    assert "other\\|clip.wav" in done.stdout
    assert done.stdout == command("export", THIRD, "--markdown", "-").stdout


def test_export_in_all_forms_at_once(kept: Path) -> None:
    done = command("export", FIRST, "--json", "-", "--csv", "r.csv", "--markdown", kept / "r.md", "--html", "r.html",
                   "--svg", "r.svg", cwd=kept)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    saved = (kept / "data" / "sessions" / FIRST / "session.json").read_text()
    assert json.loads(done.stdout) == json.loads(saved)
    assert (kept / "r.html").read_text().count("<svg") == 2
    assert (kept / "r.svg").read_text().startswith("<svg")
    rows = list(csv.DictReader(io.StringIO((kept / "r.csv").read_text())))
    assert [(row["backend"], row["rank"]) for row in rows] == [("b", "1"), ("a", "2")]
    assert (kept / "r.md").read_text() == command("export", FIRST).stdout


def test_export_that_cannot_be_written(kept: Path) -> None:
    assert "its folder does not exist" in refused(command("export", FIRST, "--csv", kept / "no" / "r.csv"))
    assert "give the others a file" in refused(command("export", FIRST, "--csv", "-", "--json", "-"))
    assert "no session is called 'nix'" in refused(command("export", "nix"))
    (kept / "folder").mkdir()
    refused(command("export", FIRST, "--csv", kept / "folder", "--json", kept / "r.json"))
    assert not (kept / "r.json").exists()
