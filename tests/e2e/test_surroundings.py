"""The command line with streams that are closed, full or left, with signals at its start, little memory, no /proc."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from racing import TESTS, python_path

Case = tuple[list[str], str, Any]
Result = tuple[int, str, str]

COMMANDS = [
    line.split()
    for line in (
        "--version", "--help", "run --help", "sessions", "bogus", "run", "doctor --json", "check-models",
        "check-models --json", "check-models --all", "repair", "repair --trash", "sessions list",
        "sessions list --json", "sessions show last", "convert nothing.nemo out", "convert --help",
    )
]  # fmt: skip
IN_MAIN = ("speedtest_tui.cli.main", "argparse", "backends.registry")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A device of this test's own that takes nothing, so that no mistake can change the machine's."""
    device = tmp_path_factory.mktemp("device") / "full"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 7))
        device.open("w").close()
    except OSError:
        if not Path("/dev/full").exists():
            pytest.skip("there is no device that is always full")
        return "/dev/full"
    return str(device)


def surrounded(cases: Sequence[Case], home: Path, **environment: str) -> list[Result]:
    """What comes of each case."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_", "SPEEDTEST_"))}
    own = {"HOME": str(home), "SPEEDTEST_MODELS_DIR": str(home / "models"), "SPEEDTEST_DATA_DIR": str(home / "data")}
    done = subprocess.run(
        [sys.executable, str(TESTS / "e2e/surroundings.py")],
        input=json.dumps(cases), env={**kept, **own, "PYTHONPATH": python_path(), **environment}, cwd=home,
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return [tuple(result) for result in json.loads(done.stdout)]


def test_streams_that_are_closed_full_or_left(tmp_path: Path, full: str) -> None:
    kinds: list[tuple[str, Any]] = [
        ("plain", None), ("closed", [0]), ("closed", [1]), ("closed", [2]), ("closed", [0, 1, 2]),
        ("full", 1), ("full", 2), ("left", 1), ("left", 2),
    ]  # fmt: skip
    results = iter(surrounded([(words, *kind) for words in COMMANDS for kind in kinds], tmp_path, FULL_DEVICE=full))
    wrong = []
    for words in COMMANDS:
        plain, *others = [next(results) for _ in kinds]
        for (kind, detail), (code, _, errors) in zip(kinds[1:], others, strict=True):
            expected = plain[0]
            if detail == 1 and plain[1]:
                expected = 1 if kind == "full" else 128 + signal.SIGPIPE
            lines = errors.splitlines()
            if code != expected or "Traceback" in errors or "Exception ignored" in errors:
                wrong.append((words, kind, detail, code, expected, errors[-300:]))
            elif kind == "full" and detail == 1 and plain[1] and lines != [next(iter(lines), "")]:
                wrong.append((words, kind, detail, errors))
    assert not wrong


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_any_moment_of_the_start(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "some.nemo").write_bytes(b"")
    convert, run = ["convert", "some.nemo", "out"], ["run", "--demo"]
    cases: list[Case] = [(run, "signal", (number, module)) for module in (*IN_MAIN, "speedtest_tui.cli.run", "numpy")]
    cases += [
        (convert, "signal", (number, f"speedtest_tui.{module}")) for module in ("cli.convert", "core.jobs.convert")
    ]
    cases += [(["doctor"], "signal", (number, "speedtest_tui.core.jobs.doctor"))]
    cases += [(["download"], "signal", (number, "speedtest_tui.core.jobs.download"))]
    for case, result in zip(cases, surrounded(cases, tmp_path), strict=True):
        assert result == (130, "", "speedtest-tui: cancelled\n"), case
    assert not (tmp_path / "out").exists()


def test_no_proc(tmp_path: Path) -> None:
    """In a namespace of its own, where nothing is mounted there."""
    (tmp_path / "empty").mkdir()
    script = f'mount --bind "{tmp_path}/empty" /proc && exec "$@"'
    namespace = ["unshare", "-m", "sh", "-c", script, "sh"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system does not let a test hide /proc")
    for words, code in (("doctor", 0), ("devices", 1), ("run --demo --runs 1 --backends pocketsphinx", 0)):
        done = program(tmp_path, *words.split(), before=namespace)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) <= 5


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not limit address space")
@pytest.mark.parametrize("megabytes", [150, 60, 45])
def test_little_memory_is_one_line(tmp_path: Path, megabytes: int) -> None:
    script = f'ulimit -v {megabytes * 1024} && exec "$@"'
    done = program(tmp_path, "run", "--demo", "--runs", "1", before=["sh", "-c", script, "sh"])
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "memory" in done.stderr.lower()


def program(home: Path, *words: str, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    own = {"HOME": str(home), "SPEEDTEST_MODELS_DIR": str(home / "models"), "SPEEDTEST_DATA_DIR": str(home / "data")}
    return subprocess.run(
        [*before, sys.executable, "-m", "speedtest_tui", *words],
        env={**os.environ, **own, "OMP_NUM_THREADS": "2", "PYTHONPATH": python_path()}, cwd=home,
        capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
