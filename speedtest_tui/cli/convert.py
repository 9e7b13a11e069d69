"""`speedtest-tui convert MODEL.nemo OUT_DIR`: a NeMo checkpoint as a folder that parakeet-mlx or canary-mlx reads."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from speedtest_tui.cli.arguments import Parser, add_json, describe
from speedtest_tui.cli.console import (
    EXIT_OK,
    Column,
    glyph,
    print_json,
    print_table,
    result_of,
    say,
)
from speedtest_tui.core import format as figures
from speedtest_tui.core.convert.numbers import BITS, DTYPES

if TYPE_CHECKING:
    from speedtest_tui.core.convert.convert import Converted


def add_arguments(parser: Parser) -> None:
    describe(
        parser,
        "Convert an NVIDIA NeMo checkpoint (Parakeet, Canary) to MLX, and compare the result with PyTorch.",
        "convert parakeet.nemo models/parakeet",
        "convert canary.nemo models/canary-8bit --bits 8",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.nemo", help="a NeMo checkpoint")
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="a folder that does not exist or is empty")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16", help="number format (default: %(default)s)")
    parser.add_argument("--bits", type=int, choices=BITS, default=0, help="quantise the large layers to 8 or 4 bits")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Convert and print the comparison; errors come as UserError."""
    from speedtest_tui.core.codec import plain
    from speedtest_tui.core.jobs.convert import Convert

    done = result_of(Convert(options.model, options.out, options.dtype, options.bits))
    if options.json:
        print_json({"folder": done.folder, **plain(done.report)})
    else:
        _print(done)
    return EXIT_OK


def _print(done: Converted) -> None:
    report = done.report
    size = sum(path.stat().st_size for path in done.folder.iterdir())
    form = f"{report.form}, {report.dtype} scales" if report.bits else report.form
    say(f"{report.family} · {report.parameters / 1e6:.1f} M parameters · {form} · {figures.amount(size)}")
    if keys := report.keys:
        say(f"{keys.read} weights read, {keys.written} written, {len(keys.skipped)} not needed")
    say("Parity with the checkpoint in PyTorch:")
    columns = (
        Column("stage"), Column("largest difference", right=True), Column("relative", right=True),
        Column("same choice", right=True), Column("bound"), Column(""),
    )  # fmt: skip
    rows = [
        (
            figure.stage,
            f"{figure.max_difference:.1e}",
            f"{figure.relative:.1e}",
            "" if figure.share is None else f"{figure.share:.1%}",
            f"{figure.kind.replace('max_difference', 'largest')} ≤ {figure.bound:g}",
            glyph("ok" if figure.ok else "failed"),
        )
        for figure in report.stages
    ]
    print_table(columns, rows)
    say(f"in {done.folder}")
