"""The installed command, run as people run it, in a home of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Done, command_line

Command = Callable[..., Done]


@pytest.fixture
def command(tmp_path: Path, models_dir: Path) -> Command:
    """The command with a data folder of this test's own; models are unpacked once for all tests."""
    (tmp_path / "home").mkdir()

    def run(*arguments: str, stdin: Path | None = None, **environment: str) -> Done:
        return command_line(tmp_path / "home", models_dir, tmp_path / "data", *arguments, stdin=stdin, **environment)

    return run


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home in which the one demo race ran."""
    return tmp_path_factory.mktemp("demo-home")


@pytest.fixture(scope="session")
def demo_race(demo_home: Path, models_dir: Path) -> Done:
    """`run --demo --runs 2 --json -` with all built-in backends, once for all tests that look at its output."""
    files = ("--csv", str(demo_home / "result.csv"), "--markdown", str(demo_home / "result.md"))
    arguments = ("run", "--demo", "--runs", "2", "--json", "-", *files)
    return command_line(demo_home, models_dir, demo_home / "data", *arguments)
