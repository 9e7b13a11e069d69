"""The local hub of the tests, serving one large file to whoever measures a download; and our downloader."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backends.base import ModelSpec, RequiredFile
from speedtest_tui.core.download.request import Request

HUB = Path(__file__).parents[2] / "tests" / "hub"
REPOSITORY, WEIGHTS = "owner/model", "weights.safetensors"
PATIENCE_S = 120.0

IN_THE_WAY = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
"""Settings of the user that would lead away from the local hub, or give it a secret; also in lower case."""


BALLAST = 1.25
"""The size of the ballast, measured in what is downloaded."""


def hub_module(name: str) -> Any:
    """A module of tests/hub, which are written to be imported by their plain names."""
    if str(HUB) not in sys.path:
        sys.path.insert(0, str(HUB))
    return importlib.import_module(name)


def ballast(folder: Path) -> Path:
    """The file whose memory a download is given: written by `load_ballast`, removed by the hub when it is asked.

    A virtual machine returns free memory to its host, and to be given it again takes up to ten times as long as writing
    a file into it (measured: 512 MiB in 0.10 s, or in 1.05 s after a second's pause). Whoever comes second, or writes
    in smaller pieces, gets more of what the machine still has, so that turns alone are not fair.
    """
    return folder / "ballast"


def load_ballast(folder: Path, size: int) -> None:
    """Have more memory in use than a file of `size` bytes needs."""
    block = bytes(1 << 20)
    with ballast(folder).open("wb") as file:
        for _ in range(0, int(size * BALLAST), len(block)):
            file.write(block)


@contextmanager
def serving_apart(weights: Path, folder: Path) -> Iterator[str]:
    """As `serving`, but in a process of its own, which removes `ballast(folder)`; yields its address."""
    program = str(Path(__file__).with_name("serve_hub.py"))
    command = [sys.executable, program, REPOSITORY, str(weights), WEIGHTS, str(ballast(folder))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        try:
            url = process.stdout.readline().strip()
            with using(url, folder):
                yield url
        finally:
            process.stdin.close()


@contextmanager
def using(url: str, folder: Path) -> Iterator[None]:
    """Let this process and its children use that hub, and no other."""
    before = dict(os.environ)
    for name in IN_THE_WAY:
        os.environ.pop(name, None)
        os.environ.pop(name.lower(), None)
    os.environ |= {"HF_ENDPOINT": url, "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def serving(folder: Path, weights: Path) -> Iterator[Any]:
    """Yield a HubServer that has `weights` to offer; this process and its children use it and no other hub."""
    with hub_module("server").HubServer() as hub:
        hub.add_repo(REPOSITORY, {WEIGHTS: weights}, lfs={WEIGHTS})
        with using(hub.url, folder):
            yield hub


def request(root: Path) -> Request:
    """What asks for that file, into a cache of its own."""
    return Request(ModelSpec("hub", REPOSITORY, (RequiredFile((WEIGHTS,)),)), "hf", root)


def transfers(hub: Any) -> list[Any]:
    """The log of requests for the large file's bytes, in the order of their arrival."""
    return [
        entry for entry in hub.requests if entry.method == "GET" and entry.path.startswith("/lfs/") and entry.status
    ]
