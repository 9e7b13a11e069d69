"""Downloading children, as the queue starts them: for tests, and for measurements, which import no pytest."""

from __future__ import annotations

import json
from typing import Any

from speedtest_tui.core.download.queue import CHILD
from speedtest_tui.core.download.request import Request
from speedtest_tui.core.process import launch as launcher
from speedtest_tui.core.process.lines import encode


def start(wanted: Request) -> launcher.Started:
    """Start one and give it its request."""
    process = launcher.launch(CHILD, online=True)
    assert process.stdin
    process.stdin.write(encode(wanted))
    return process


def finish(process: launcher.Started) -> dict[str, Any]:
    """Wait for its end; the last thing that it said, {} where that is nothing."""
    assert process.stdout
    said = process.stdout.read().splitlines()
    launcher.end(process)
    for stream in (process.stdin, process.stdout, process.stderr):
        assert stream
        stream.close()
    last: dict[str, Any] = json.loads(said[-1]) if said else {}
    return last
