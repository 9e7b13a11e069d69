"""Entry point. `--version` answers before anything else is imported."""

from __future__ import annotations

import os
import sys

from speedtest_tui import __version__


def main() -> int:
    """Run the command line; returns the exit code."""
    open_streams()
    if sys.argv[1:] in (["--version"], ["-V"]):
        try:
            print(f"speedtest-tui {__version__}", flush=True)
            return 0
        except OSError:
            pass  # what that comes to is known below
    from speedtest_tui.cli import end_as_interrupted, on_signals

    try:
        end_as_interrupted()
        from speedtest_tui.cli.main import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:
        import contextlib

        with contextlib.suppress(OSError):
            os.write(2, b"speedtest-tui: cancelled\n")
        return 130
    finally:
        on_signals(None)  # the code is known; the interpreter's own end takes no interruption


def open_streams() -> None:
    """Let the null device stand for standard streams that were closed before the start (`<&-`).

    Their numbers would be given to the next file or pipe, and what is meant for the stream would go there, here and in
    children, to whom a pipe cannot be handed under such a number.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number: those below are open by now.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115


if __name__ == "__main__":
    sys.exit(main())
