"""What the command line answers to whatever a person may get wrong: one line, what and what to do, exit code 2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speedtest_tui.cli.main import COMMANDS, run

SIZES = "nano, tiny, base, small, medium, large, large-v2, large-v3, turbo"

SENTENCES = {
    "run": "nothing to transcribe: name an audio file, or use --demo",
    "run --demo noise.wav": "both --demo and a file: give one of the two",
    "run missing.wav": "missing.wav does not exist",
    "run nothing": "nothing has no clip: put audio files in it, each with a .txt of the same name beside it",
    "run nothing noise.wav": "nothing has clips of its own: name one folder or manifest, or audio files only",
    "run notes.txt": "looks like text",
    "run empty.wav": "is empty",
    "run short.wav": "50 ms long",
    "run --demo --size enormous": "no backend has a model of size 'enormous': choose from nano",
    "run --demo --backends whisper": "no backend is called 'whisper': did you mean whisper-mps or whisperkit?",
    "run --demo --backends vosk": "no backend is called 'vosk': choose from mlx-whisper, parakeet-mlx, ",
    "run --demo --backends ,": "no backend chosen: name one with --backends, or leave the option out for all",
    "run --demo --option whisper.beam=4": "no backend is called 'whisper': did you mean whisper-mps or whisperkit?",
    "run --demo --option beam": "--option takes BACKEND.NAME=VALUE, not 'beam': as in parakeet-mlx.beam=4",
    "run --demo --runs 0": "0 runs: choose 1 to 1000",
    "run --demo --runs abc": "--runs takes a whole number, not 'abc': see `speedtest-tui run --help`",
    "run --demo --runs": "--runs needs a value: see `speedtest-tui run --help`",
    "run --demo --warmup 0": "0 warm-up",
    "run --demo --timeout 0": "--timeout takes seconds above 0, not 0: choose a larger number",
    "run --demo --order random": "--order takes interleaved or sequential, not 'random'",
    "run --demo --language english": "--language takes a code, not 'english': give one such as en or de",
    "run --demo --json - --csv -": "only one result can go to standard output: give the others a file",
    "run --demo --json a --csv ./a": "two results cannot go to ./a: give each a file of its own",
    "run --demo --json a/": "cannot write a/: name a file, not a folder",
    "run --demo --html /": "cannot write /: name a file, not a folder",
    "run --demo --json nowhere/result.json": "cannot write nowhere/result.json: its folder does not exist",
    "run noise.wav --reference @missing.txt": "reference file missing.txt does not exist",
    "run noise.wav --reference @empty.wav": "the reference text is empty",
    "run --sise tiny": "run has no option --sise (did you mean --size?): see `speedtest-tui run --help`",
    "runn": "no command is called 'runn': did you mean run?",
    "dance": "no command is called 'dance': see `speedtest-tui --help`",
    "--nonsense": "there is no option --nonsense: see `speedtest-tui --help`",
    "--audio missing.wav": "missing.wav does not exist: name an audio or video file",
    "--demo --audio noise.wav": "--audio: not allowed with argument --demo",
    "--demo": "the dashboard needs a terminal: use `speedtest-tui run` where there is none",
    "record": "the following arguments are required: OUT.wav: see `speedtest-tui record --help`",
    "record x.mp3": "x.mp3 is neither .wav nor .flac: choose a name that ends in one of them",
    "record x.wav --seconds -1": "--seconds takes seconds above 0, not -1: choose a larger number",
    "record noise.wav": "noise.wav already exists: choose another name, or use --force",
    "record x.wav --recover": "there is no unsaved recording: record without --recover",
    "doctor please": "doctor takes no 'please': see `speedtest-tui doctor --help`",
    "check-models --size enormous": f"no backend has a model of size 'enormous': choose from {SIZES}",
    "check-models --size tiny --all": "--all: not allowed with argument --size",
    "check-models --backends ,": "no backend chosen: name one with --backends, or leave the option out for all",
    "check-models --timeout 0": "--timeout takes seconds above 0, not 0: choose a larger number",
    "check-models --timeout soon": "--timeout takes a number, not 'soon': see `speedtest-tui check-models --help`",
    "download --size huge": f"no backend has a model of size 'huge': choose from {SIZES}",
    "download --to moon": "--to takes hf or local, not 'moon': see `speedtest-tui download --help`",
    "download --timeout nan": "--timeout takes seconds above 0, not nan: choose a larger number",
    "repair --copy a/b": "--to and --copy or --move need each other: give both, as in --copy NAME --to local",
    "repair --to hf": "--to and --copy or --move need each other: give both, as in --copy NAME --to local",
    "repair --copy a/b --to hf": "no cache but hf has a/b",
    "repair --verify": "--verify needs --apply: add it, or verify with `speedtest-tui check-models --verify`",
    "repair --symlinks": "--symlinks needs --merge-duplicates: add it",
    "repair --timeout 0": "--timeout takes seconds above 0, not 0: choose a larger number",
    "repair --size gigantic": f"no backend has a model of size 'gigantic': choose from {SIZES}",
    "repair --undo never": "no repair is called never",
    "repair --undo": "nothing to undo",
    "repair --undo --trash": "--trash: not allowed with argument --undo",
    "convert notes.txt": "the following arguments are required: OUT_DIR: see `speedtest-tui convert --help`",
    "convert missing.nemo out": "missing.nemo does not exist: give the path of a .nemo file",
    "serve --port many": "--port takes a whole number, not 'many': see `speedtest-tui serve --help`",
    "serve --demo --audio noise.wav": "--audio: not allowed with argument --demo",
    "sessions": "the following arguments are required: ACTION: see `speedtest-tui sessions --help`",
    "sessions lst": "no action is called 'lst': did you mean list?",
    "sessions show last": "there is no session yet",
    "sessions show nothing": "no session is called 'nothing': see `speedtest-tui sessions list`",
}


@pytest.fixture
def files(places: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of all kinds, which is the current one."""
    folder = places / "files"
    folder.mkdir()
    (folder / "notes.txt").write_text("dear diary, nothing to hear\n" * 20)
    (folder / "empty.wav").touch()
    (folder / "nothing").mkdir()
    soundfile.write(folder / "short.wav", np.zeros(800, dtype=np.float32), 16_000)
    noise = np.random.default_rng(2).normal(0, 0.05, 16_000).astype(np.float32)
    soundfile.write(folder / "noise.wav", noise, 16_000)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("signal.signal", lambda *_: None)  # this process has handlers of its own
    return folder


@pytest.mark.parametrize("arguments", SENTENCES)
def test_wrong_usage(files: Path, capsys: pytest.CaptureFixture[str], arguments: str) -> None:
    assert run(arguments.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("speedtest-tui: ")
    assert printed.err.count("\n") == 1
    assert SENTENCES[arguments] in printed.err


@pytest.mark.parametrize("command", ["", *(entry.name for entry in COMMANDS), "sessions list", "sessions export"])
def test_help_says_what_it_is_for_and_gives_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert f"\n  speedtest-tui {command}".rstrip() in text.partition("\nexample")[2]
    assert all(len(line) <= 80 for line in text.splitlines())
    forbidden = ("mend", "fetch", "left out", "hear", "begin anew", "stand-in", "lies ", "whole")
    assert not [word for word in forbidden if word in text]
