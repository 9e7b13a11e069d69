"""Running `speedtest-tui serve` for a test, and finding the dashboards that it started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from racing import marked

QUICK = ("--demo", "--backends", "pocketsphinx", "--runs", "1")
"""A race that is over soon."""

LONG = ("--demo", "--backends", "pocketsphinx", "--runs", "99")
"""One that is not."""

GONE_S = 5.0
"""How long a dashboard may take to be gone. 2 s is what people are promised; test machines are busy."""


@dataclass(frozen=True)
class Served:
    """A server that can be reached: `page` is what it printed, `address` the same without the token."""

    process: subprocess.Popen[str]
    page: str
    data: Path
    mark: str

    @property
    def address(self) -> str:
        return self.page.partition("/?token=")[0]

    @property
    def token(self) -> str:
        return self.page.partition("/?token=")[2]

    def dashboards(self) -> list[psutil.Process]:
        """What was started for browsers, dashboards and their race children, whoever is their parent by now."""
        return marked(self.mark, {self.process.pid})

    def sessions(self) -> list[Path]:
        """The sessions that were kept."""
        return list(self.data.glob("sessions/*/session.json"))

    def errors(self) -> str:
        """What the server said on stderr."""
        return (self.data / "stderr").read_text()


@contextmanager
def serving(folder: Path, models: Path, mark: str, *arguments: str) -> Iterator[Served]:
    """Serve on a free port of the loopback address with a home and a data folder of its own."""
    home, data = folder / "home", folder / "data"
    home.mkdir()
    data.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_", "TEXTUAL"))}
    places = {"HOME": str(home), "SPEEDTEST_MODELS_DIR": str(models), "SPEEDTEST_DATA_DIR": str(data)}
    command = [str(Path(sys.executable).with_name("speedtest-tui")), "serve", "--port", "0", *arguments]
    with (data / "stderr").open("w") as errors:
        process = subprocess.Popen(
            command, env={**kept, **places}, cwd=home, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        assert words[:1] == ["speedtest-tui:"], f"the server did not start: {(data / 'stderr').read_text()}"
        yield Served(process, words[1], data, mark)
    finally:
        process.terminate()
        process.communicate(timeout=20)
