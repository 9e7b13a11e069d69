"""`speedtest-tui devices`: the microphones that can be recorded from."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from speedtest_tui.cli.main import EXIT_FAILED, EXIT_OK, complain
from speedtest_tui.core.audio.devices import scan_devices
from speedtest_tui.core.sessions.export import to_json


def devices(options: argparse.Namespace) -> int:
    """List them, the default one first; exit code 1 where there is none."""
    report = scan_devices()
    if options.json:
        sys.stdout.write(to_json({"schema": 1, **asdict(report)}))
    elif report.devices:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        from speedtest_tui.cli.console import PLAIN_WIDTH

        table = Table.grid(padding=(0, 2))
        for device in report.devices:
            cells = (
                str(device.index),
                device.name,
                f"{device.rate / 1000:g} kHz",
                f"{device.channels} ch",
                device.host_api,
            )
            table.add_row(*map(Text, cells), Text("default" if device.is_default else ""))
        Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False).print(table)
    else:
        complain(f"{report.problem}: {report.fix}")
    return EXIT_OK if report.devices else EXIT_FAILED
