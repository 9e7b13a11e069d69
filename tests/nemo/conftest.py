"""Each fixture is converted once for all tests, in a child process as the program does it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from checkpoints import Convert, checkpoint

from speedtest_tui.core.convert.convert import Converted, convert


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Convert:
    """Converts a fixture to float32, or to what follows a colon: "tdt", "tdt:bfloat16", "ctc:8"."""
    root: Path = tmp_path_factory.mktemp("converted")

    @cache
    def make(what: str) -> Converted:
        name, _, form = what.partition(":")
        bits = int(form) if form.isdigit() else 0
        dtype = "float32" if bits or not form else form
        return convert(checkpoint(name), root / what.replace(":", "-"), dtype, bits)  # type: ignore[arg-type]

    return make
