"""`speedtest-tui doctor`: what is installed, what is missing, and how to mend it."""

from __future__ import annotations

import argparse
import sys

from speedtest_tui.cli.main import EXIT_FAILED, EXIT_OK
from speedtest_tui.core.jobs.doctor import Checkup, examine
from speedtest_tui.core.sessions.export import to_json


def doctor(options: argparse.Namespace) -> int:
    """Print the check-up; exit code 1 while no backend can run."""
    checkup = examine()
    if options.json:
        sys.stdout.write(to_json(checkup.to_json()))
    else:
        _print(checkup)
    return EXIT_OK if any(backend.ok for backend in checkup.backends) else EXIT_FAILED


def _print(checkup: Checkup) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from speedtest_tui.cli.console import PLAIN_WIDTH

    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)

    def section(title: str, lines: list[tuple[bool, tuple[str, ...]]]) -> None:
        console.print(Text(f"\n{title}", style="bold"))
        table = Table.grid(padding=(0, 2))
        for good, cells in lines:
            glyph = Text("✓", style="green") if good else Text("✗", style="red")
            table.add_row(Text(" "), glyph, *map(Text, cells))
        console.print(table)

    console.print(Text(f"{checkup.program} · Python {checkup.host.python}"))
    console.print(Text(checkup.host.sentence()))
    section(
        "Backends",
        [
            (b.ok, (b.name, b.version or "not installed", b.device, f"models: {', '.join(b.sizes) or 'none yet'}"))
            for b in checkup.backends
        ],
    )
    microphones = checkup.microphones
    if microphones.problem:
        section("Microphones", [(False, (microphones.problem,))])
    else:
        section(
            "Microphones",
            [
                (True, (d.name, f"{d.rate / 1000:g} kHz", "default" if d.is_default else ""))
                for d in microphones.devices
            ],
        )
    section(
        "Folders",
        [
            (
                c.writable,
                (c.name, c.path, "" if c.exists else "(made when needed)", f"{c.free_bytes / 1e9:.1f} GB free"),
            )
            for c in checkup.caches
        ],
    )
    problems = checkup.problems()
    console.print(Text("\nTo mend" if problems else "\nNothing to mend.", style="bold"))
    for problem in problems:
        console.print(Text(f"  {problem}"))
