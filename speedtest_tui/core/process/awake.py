"""Keeping the machine awake while something long runs.

On macOS idle sleep would stop a race, a download, a conversion or a recording. Nothing is done on Linux, whose desktops
ask the session's own manager and whose servers do not sleep.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

PROGRAM = "/usr/bin/caffeinate" if sys.platform == "darwin" else ""

END_S = 1.0


@contextlib.contextmanager
def awake(program: str = "") -> Iterator[None]:
    """Keep the machine from sleeping by itself for as long as this lasts; the display may go dark.

    `caffeinate -i -w PID` (its manual page): -i prevents idle sleep, -w ends it with this process, however that ends.
    Without such a program nothing happens.

    program: takes the place of caffeinate
    """
    if not (program := program or PROGRAM):
        yield
        return
    import subprocess

    nothing = subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            [program, "-i", "-w", str(os.getpid())],
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            start_new_session=True,
        )
    except OSError:
        yield
        return
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
