"""Run the command line in many surroundings, each in a fork of this process: cases come in and results go out as JSON.

A case is (words, kind, detail). kind: "closed", "full" and "left" are for a stream's number, which is closed before the
start, a device without room, or a pipe that nobody reads; "signal" is for (number, module): it comes when that module
is about to be imported; "terminal" has both streams on one. A result is (exit code, or minus a signal; what came on
standard output and error).
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any


def one(words: list[str], kind: str, detail: Any) -> tuple[int, str, str]:
    if kind == "terminal":
        return on_a_terminal(words)
    folder = tempfile.mkdtemp()
    files = [Path(folder, "out"), Path(folder, "err")]
    if not (pid := os.fork()):
        become(words, kind, detail, files)
    _, status = os.waitpid(pid, 0)
    out, errors = (file.read_text(errors="replace") if file.exists() else "" for file in files)
    shutil.rmtree(folder)
    return os.waitstatus_to_exitcode(status), out, errors


def on_a_terminal(words: list[str]) -> tuple[int, str, str]:
    parent, child = pty.openpty()
    if not (pid := os.fork()):
        os.close(parent)
        become(words, "terminal", None, [Path(os.ttyname(child))] * 2)
    os.close(child)
    output = b""
    with suppress(OSError):  # so a terminal ends on Linux
        while data := os.read(parent, 65536):
            output += data
    os.close(parent)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output.decode("utf-8", "surrogateescape"), ""


def become(words: list[str], kind: str, detail: Any, files: list[Path]) -> None:
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        where = files[number - 1] if number else os.devnull
        if kind == "full" and detail == number:
            where = os.environ["FULL_DEVICE"]
        source = os.open(where, os.O_RDWR | os.O_CREAT | os.O_NOCTTY)
        if kind == "left" and detail == number:
            reading, source = os.pipe()
            os.close(reading)
        os.dup2(source, number)
        os.close(source)
        mode, errors = ("w" if number else "r"), ("backslashreplace" if number == 2 else "strict")
        setattr(sys, name, open(number, mode, encoding="utf-8", errors=errors, closefd=False))  # noqa: SIM115
    if kind == "closed":
        for number in detail:
            os.close(number)
            setattr(sys, ("stdin", "stdout", "stderr")[number], None)
    if kind == "signal":
        sys.meta_path.insert(0, Signals(*detail))
    sys.argv = ["speedtest-tui", *words]
    from speedtest_tui.__main__ import main

    sys.exit(main())  # as the interpreter ends, with all that it may complain of then


class Signals:
    """A finder that finds nothing, but sends a signal when it is asked for one module."""

    def __init__(self, number: int, module: str) -> None:
        self._number, self._module = number, module

    def find_spec(self, name: str, *_: Any) -> None:
        if name == self._module:
            self._module = ""
            os.kill(os.getpid(), self._number)


if __name__ == "__main__":
    cases = json.load(sys.stdin)
    if not any(kind == "signal" for _, kind, _ in cases):
        from speedtest_tui.cli import main

        for entry in main.COMMANDS:
            main.load(entry)
        from rich import console, table, text  # noqa: F401
    print(json.dumps([one(*case) for case in cases]))
