"""Real weights and real speech, as `make real` puts them into a folder; everything here is skipped without them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Done, command_line

Program = Callable[..., Done]

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = os.environ.get("SPEEDTEST_REAL")
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.real)
            item.add_marker(pytest.mark.timeout(600))
            if not folder:
                item.add_marker(pytest.mark.skip(reason="no real weights: make real"))


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder that tools/real_weights.py has filled."""
    return Path(os.environ["SPEEDTEST_REAL"])


@pytest.fixture
def program(real: Path, tmp_path: Path) -> Program:
    """Runs the command line with the real weights in its caches."""
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "whisper").symlink_to(real / "whisper")

    def run(*arguments: str) -> Done:
        caches = {"HF_HUB_CACHE": str(real / "hub"), "HF_HUB_OFFLINE": "1"}
        return command_line(tmp_path, tmp_path / "models", tmp_path / "data", *arguments, **caches)

    return run
