"""Entry point. `--version` answers before anything else is imported."""

from __future__ import annotations

import sys

from speedtest_tui import __version__


def main() -> int:
    """Run the command line; returns the exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"speedtest-tui {__version__}")
        return 0
    from speedtest_tui.cli.main import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
