"""`speedtest-tui download`: fetch the models of a size that are missing, continuing what earlier downloads left.

Imports nothing heavy by itself: the command line asks it for its options at every start.
"""

from __future__ import annotations

import argparse
from typing import Any

from backends.catalogue import SIZES

DEFAULT_SIZE = "small"
"""The smallest size whose transcripts are worth reading; nano comes with the program."""


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command and its options to the command line."""
    parser = commands.add_parser("download", help="fetch models, continuing what was interrupted")
    parser.add_argument(
        "--size", default=DEFAULT_SIZE, metavar="SIZE", help=f"model size: {', '.join(SIZES)} (default %(default)s)"
    )
    parser.add_argument("--backends", metavar="A,B", help="for which implementations; all installed ones if left out")
    parser.add_argument(
        "--to",
        choices=("hf", "local"),
        help="the Hugging Face cache (for .pt files ~/.cache/whisper), or this program's own (default hf)",
    )
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds without a byte until it reconnects (60)")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(command=_download)


def _download(options: argparse.Namespace) -> int:
    from speedtest_tui.cli.download_run import download

    return download(options)
