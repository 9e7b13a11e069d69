"""Everything a person may get wrong, and what it costs them: one line, the right exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from documents import build, clip

from speedtest_tui.core.sessions import store

Command = Callable[..., Any]

QUICK = ("--backends", "pocketsphinx", "--runs", "1")
"""The backend that starts fastest."""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with files of all kinds."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "notes.txt").write_text("dear diary, nothing to hear\n" * 20)
    noise = np.random.default_rng(2).normal(0, 0.05, 16_000).astype(np.float32)
    soundfile.write(folder / "noise.wav", noise, 16_000)
    soundfile.write(folder / "silence.wav", np.zeros(16_000, dtype=np.float32), 16_000)
    return folder


@pytest.mark.parametrize(
    ("arguments", "words"),
    [("run", "nothing to transcribe"), ("run notes.txt", "looks like text"), ("--nonsense", "no option --nonsense")],
)
def test_wrong_usage_is_one_line_and_exit_2(command: Command, files: Path, arguments: str, words: str) -> None:
    """All of them are in tests/unit/test_sentences.py."""
    done = command(*(str(files / part) if (files / part).exists() else part for part in arguments.split()))
    assert (done.returncode, done.stdout) == (2, ""), done.stdout + done.stderr
    assert done.stderr.startswith("speedtest-tui: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_exit_1_where_one_that_was_asked_for_cannot_run(command: Command) -> None:
    done = command("run", "--demo", "--backends", "pocketsphinx,parakeet-mlx", "--runs", "1", "--size", "tiny")
    assert done.returncode == 1
    assert "is not downloaded: run `speedtest-tui download --size tiny --backends parakeet-mlx`" in done.stdout
    assert "only pocketsphinx finished: nothing to compare" in done.stdout
    assert "Traceback" not in done.stderr


def test_several_clips_become_a_list(command: Command, files: Path) -> None:
    done = command("run", str(files / "noise.wav"), str(files / "silence.wav"), *QUICK, "--json", "-")
    noise, silence = json.loads(done.stdout)
    assert (noise["clip"]["name"], silence["clip"]["name"]) == ("noise.wav", "silence.wav")
    # Nothing said in silence is the right answer, and the silence is mentioned.
    assert silence["clip"]["warnings"]
    assert silence["results"][0]["status"] == "ok"


def test_a_file_that_cannot_be_read_does_not_stop_the_others(command: Command, files: Path) -> None:
    (files / "bad.m4a").write_text("no sound at all")
    done = command("run", str(files / "bad.m4a"), str(files / "noise.wav"), *QUICK, "--json", "-", "--no-save")
    assert done.returncode == 1
    assert json.loads(done.stdout)["clip"]["name"] == "noise.wav"
    assert done.stderr.count("\n") == 1 and "bad.m4a is not audio that can be read" in done.stderr


def test_standard_input(command: Command, files: Path) -> None:
    done = command("run", "-", *QUICK, "--json", "-", "--no-save", stdin=files / "noise.wav")
    assert json.loads(done.stdout)["clip"]["name"] == "standard input"
    assert "standard input" in command("run", "-", *QUICK).stderr


def test_an_address_is_no_path(command: Command) -> None:
    done = command("run", "https://example.org/talk.mp3", *QUICK)
    assert done.returncode == 2
    assert "https://example.org/talk.mp3 is an address: download it first" in done.stderr


def test_a_reference_gives_an_error_rate(command: Command, files: Path) -> None:
    (files / "said.txt").write_text("something quite different")
    reference = f"@{files / 'said.txt'}"
    done = command("run", str(files / "noise.wav"), *QUICK, "--reference", reference, "--json", "-", "--no-save")
    document = json.loads(done.stdout)
    assert document["clip"]["reference"] == "something quite different"
    assert document["results"][0]["wer"] > 0


def test_results_that_cannot_be_saved_are_still_printed(command: Command, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where the folder should be")
    done = command("run", "--demo", *QUICK, "--json", "-", SPEEDTEST_DATA_DIR=str(tmp_path / "blocked"))
    assert done.returncode == 1
    assert json.loads(done.stdout)["results"][0]["status"] == "ok"
    assert done.stderr.startswith("speedtest-tui: the session could not be saved (")
    assert done.stderr.count("\n") == 1


def test_a_result_file_that_cannot_be_written_is_said(command: Command, tmp_path: Path) -> None:
    (tmp_path / "taken.csv").symlink_to("nowhere/at.all")
    done = command("run", "--demo", *QUICK, "--json", "-", "--csv", str(tmp_path / "taken.csv"))
    assert "taken.csv could not be written" in done.stderr
    assert done.returncode == 1
    assert json.loads(done.stdout)["state"] == "done"


def test_damaged_sessions_are_named_and_skipped(command: Command, tmp_path: Path) -> None:
    assert command("run", "--demo", *QUICK).returncode == 0
    (tmp_path / "data" / "sessions" / "20200101T000000").mkdir()
    (tmp_path / "data" / "sessions" / "20200101T000000" / "session.json").write_text("{")
    done = command("sessions", "list")
    assert done.returncode == 1
    assert "demo" in done.stdout
    assert "20200101T000000 is damaged: session.json is not JSON" in done.stderr
    assert command("sessions", "show", "last").returncode == 0
    assert command("sessions", "show", "2020").returncode == 2


def test_no_sessions_is_no_error(command: Command) -> None:
    done = command("sessions", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "No sessions yet" in done.stdout
    assert json.loads(command("sessions", "list", "--json").stdout)["sessions"] == []


def test_doctor(command: Command) -> None:
    done = command("doctor", "--json")
    assert done.returncode == 0
    checkup = json.loads(done.stdout)
    assert {backend["name"] for backend in checkup["backends"]} >= {"mlx-whisper", "pocketsphinx"}
    assert all(backend["ok"] or backend["fix"] for backend in checkup["backends"])
    assert {cache["name"] for cache in checkup["caches"]} == {"HF", "local", "whisper", "sessions"}
    words = command("doctor")
    assert words.returncode == 0
    assert "pocketsphinx" in words.stdout
    assert "Traceback" not in words.stdout + words.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("arguments", [("sessions", "list"), ("sessions", "show", "last"), ("doctor",), ("--help",)])
def test_a_terminal_with_fewer_characters(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SPEEDTEST_DATA_DIR", str(tmp_path / "data"))
    store.save(build(), clip("naïve 音.wav"))
    done = command(*arguments, PYTHONIOENCODING=encoding)
    assert "Traceback" not in done.stderr
    assert done.stdout


def test_standard_output_that_is_full(tmp_path: Path) -> None:
    """A private limit on the size of files stands for a full disk."""
    program = str(Path(sys.executable).with_name("speedtest-tui"))
    places = {f"SPEEDTEST_{name}_DIR": str(tmp_path / name) for name in ("DATA", "MODELS", "CONFIG")}
    script = f'ulimit -f 0; trap "" XFSZ; "{program}" doctor > "{tmp_path / "out"}"'
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env={**os.environ, **places, "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Traceback" not in done.stderr and "working folder" not in done.stderr


def test_a_home_that_does_not_exist(command: Command) -> None:
    done = command("sessions", "list", SPEEDTEST_DATA_DIR="~nobody-is-called-so/x")
    assert done.returncode == 2
    assert "SPEEDTEST_DATA_DIR is '~nobody-is-called-so/x'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_working_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    program = str(Path(sys.executable).with_name("speedtest-tui"))
    script = f'rmdir "{gone}"; exec "{program}" convert x.nemo out'
    done = subprocess.run(["sh", "-c", script], cwd=gone, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("speedtest-tui: ") and done.stderr.count("\n") == 1
