"""`speedtest-tui convert MODEL.nemo OUT_DIR`: a NeMo checkpoint as a folder that parakeet-mlx or canary-mlx reads."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedtest_tui.core.convert.numbers import BITS, DTYPES

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from speedtest_tui.core.convert.convert import Converted, Progress


SAID = {
    "starting": "starting", "unpacking": "unpacking", "converting": "converting", "proving": "comparing with PyTorch",
    "saving": "saving",
}  # fmt: skip


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Add `convert` to the command line."""
    parser = commands.add_parser("convert", help="turn an NVIDIA NeMo checkpoint (Parakeet, Canary) into MLX")
    parser.add_argument("model", type=Path, metavar="MODEL.nemo", help="a NeMo checkpoint")
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="a folder that does not exist or is empty")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16", help="number format (default %(default)s)")
    parser.add_argument("--bits", type=int, choices=BITS, default=0, help="quantise the large layers to 8 or 4 bits")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Convert, print the proof; errors come as UserError."""
    from speedtest_tui.core.convert.convert import convert

    with _bars() as bars:
        shown = _Shown(bars)
        done = convert(options.model, options.out, options.dtype, options.bits, on_progress=shown.update)
    if options.json:
        from speedtest_tui.core.codec import plain
        from speedtest_tui.core.sessions.export import to_json

        sys.stdout.write(to_json({"folder": str(done.folder), **plain(done.report)}))
    else:
        _print(done)
    return 0


class _Shown:
    """One bar, renamed from stage to stage."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task = bars.add_task("starting", total=None)
        self._stage = ""

    def update(self, progress: Progress) -> None:
        if progress.stage != self._stage:
            self._stage = progress.stage
            self._bars.reset(self._task, description=SAID[progress.stage], total=None)
        self._bars.update(self._task, completed=progress.done, total=progress.total or None)


def _bars() -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _print(done: Converted) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from speedtest_tui.cli.console import PLAIN_WIDTH

    report = done.report
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False, markup=False)
    size = sum(path.stat().st_size for path in done.folder.iterdir())
    scales = f", {report.dtype} scales" if report.bits else ""
    form = f"{report.form}{scales}"
    console.print(f"{report.family} · {report.parameters / 1e6:.1f} M parameters · {form} · {size / 1e6:.1f} MB")
    if keys := report.keys:
        console.print(f"{keys.read} weights read, {keys.written} written, {len(keys.skipped)} not needed")
    table = Table(title="Parity with the checkpoint in PyTorch", title_justify="left")
    for column in ("stage", "largest difference", "relative", "same choice", "bound", ""):
        table.add_column(column, no_wrap=True)
    for figure in report.stages:
        share = "" if figure.share is None else f"{figure.share:.1%}"
        bound = f"{figure.kind.replace('max_difference', 'largest')} ≤ {figure.bound:g}"
        verdict = Text("✓", style="green") if figure.ok else Text("✗", style="red")
        table.add_row(figure.stage, f"{figure.max_difference:.1e}", f"{figure.relative:.1e}", share, bound, verdict)
    console.print(table)
    console.print(f"in {done.folder}", soft_wrap=True)
