"""Running the installed command in a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

Done = subprocess.CompletedProcess[str]


def command_line(
    home: Path, models: Path, data: Path, *arguments: str, stdin: Path | None = None, **environment: str
) -> Done:
    """Run `speedtest-tui`; what it may read of the user's is in these three folders."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_", "SPEEDTEST_"))}
    places = {"HOME": str(home), "SPEEDTEST_MODELS_DIR": str(models), "SPEEDTEST_DATA_DIR": str(data)}
    given = subprocess.DEVNULL if stdin is None else stdin.open("rb")
    return subprocess.run(
        [str(Path(sys.executable).with_name("speedtest-tui")), *arguments],
        env={**kept, **places, **environment},
        cwd=home,
        stdin=given,
        capture_output=True,
        text=True,
        encoding=environment.get("PYTHONIOENCODING"),
        timeout=240,
        check=False,
    )
