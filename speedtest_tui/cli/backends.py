"""`speedtest-tui backends`: every implementation that can be raced, and what installs those that are not here."""

from __future__ import annotations

import argparse

from speedtest_tui.cli.arguments import Parser, add_json, describe
from speedtest_tui.cli.console import EXIT_OK, Column, glyph, print_json, print_table, say
from speedtest_tui.core.jobs.doctor import backends, plain


def add_arguments(parser: Parser) -> None:
    describe(
        parser,
        "List all backends: whether they are installed, their version and device, which models are here.",
        "backends",
        "backends --json",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the list."""
    found = backends()
    if options.json:
        print_json({"schema": 1, "backends": [plain(backend) for backend in found]})
        return EXIT_OK
    columns = [Column(title) for title in ("", "backend", "version", "device", "models here", "what installs it")]
    rows = []
    for one in found:
        models = (", ".join(one.sizes) or "none yet") if one.ok else ""
        version = one.version if one.ok else one.advice.what
        rows.append((glyph("ok" if one.ok else "missing"), one.name, version, one.device, models, one.advice.todo))
    print_table(columns, rows)
    if any(one.optional for one in found):
        names = ", ".join(one.name for one in found if one.optional)
        say(f"\nOnly raced where they are named: {names}.")
    return EXIT_OK
