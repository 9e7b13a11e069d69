"""What the command line prints: one-line errors, tables and notes on standard output, one live view on standard error.

Imports nothing heavy by itself; rich comes with the first table.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import LOOKS, Mood, amount, count, neutral

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from speedtest_tui.core.jobs.job import Job, JobRow
    from speedtest_tui.core.sessions.document import Document

R = TypeVar("R")

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_CANCELLED = 0, 1, 2, 130

PLAIN_WIDTH = 132
"""Columns where the output is no terminal and so has no width of its own."""

NOTE_WIDTH = 80
"""Columns that sentences fill at most."""

GAP = 2
COLOURS: dict[Mood, str] = {"good": "green", "now": "cyan", "needs-you": "yellow", "bad": "red", "quiet": ""}


def complain(message: str) -> None:
    """One line on stderr, as all errors are printed."""
    say(f"speedtest-tui: {' '.join(message.split())}", error=True)


def say(text: str = "", *, error: bool = False) -> None:
    """A line on standard output, or on standard error. With `stdout` and `print_json` the only exits to a terminal."""
    try:
        print(neutral(text), file=sys.stderr if error else sys.stdout, flush=True)
    except OSError:
        if not error:  # where complaints cannot go, that one cannot either
            raise


def stdout() -> Console:
    """Where results are printed."""
    return _console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH)


def _console(**options: Any) -> Console:
    """Rich's console, which draws no character that would steer the terminal, whoever sent it."""
    from rich.console import Console
    from rich.segment import Segment

    class Neutral(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit, with a code of its own

        def render(self, *arguments: Any, **named: Any) -> Iterator[Segment]:
            for segment in super().render(*arguments, **named):
                text, style, control = segment
                yield segment if control else Segment(neutral(text, ""), style)

    return Neutral(highlight=False, markup=False, **options)


def print_json(document: object) -> None:
    """A result for programs, alone on standard output."""
    from speedtest_tui.core.codec import document as written

    sys.stdout.write(written(document))


def toned(text: str, mood: Mood) -> Text:
    """Text in the colour of a mood."""
    from rich.text import Text

    return Text(text, style=COLOURS[mood])


def glyph(state: str) -> Text:
    """A state's glyph in its colour; its word must stand beside it."""
    look = LOOKS[state]
    return toned(look.glyph, look.mood)


def heading(text: str) -> Text:
    """A line that stands above others, or sums them up."""
    from rich.text import Text

    return Text(text, style="bold")


def note(text: str, mark: str = "!", mood: Mood = "needs-you", indent: str = "") -> Text:
    """A remark, broken at words."""
    lines = textwrap.wrap(
        f"{mark} {text}", min(NOTE_WIDTH, stdout().width) - len(indent), subsequent_indent="  ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return toned("\n".join(indent + line for line in lines), mood)


class Column(NamedTuple):
    """A table's column. Where the terminal is too narrow for all, those of the highest `rank` are left out first."""

    title: str
    right: bool = False
    rank: int = 0


def print_table(
    columns: Sequence[Column], rows: Sequence[Sequence[Text | str]], *, titles: bool = True
) -> tuple[str, ...]:
    """Print rows in columns that are as wide as they need to be; returns the titles of those that had no room."""
    from rich.cells import cell_len
    from rich.text import Text

    if not rows:
        return ()
    console = stdout()
    head = [heading(column.title) if console.is_terminal else column.title for column in columns] if titles else []
    lines = [[cell if isinstance(cell, Text) else neutral(cell, "") for cell in row] for row in (head, *rows) if row]
    sizes = [[cell_len(str(cell)) for cell in line] for line in lines]
    widths = [max(column) for column in zip(*sizes, strict=True)]
    shown = list(range(len(columns)))
    room = console.width + (0 if titles else GAP)
    while (excess := sum(widths[index] + GAP for index in shown) - room) > 0:
        last = max(shown, key=lambda index: (columns[index].rank, index))
        if columns[last].rank:
            shown.remove(last)
            continue
        # The widest text is folded until another one is as wide; no number is broken.
        texts = sorted((widths[index], index) for index in shown if not columns[index].right and widths[index] > 1)
        if not texts:
            break
        wide, index = texts[-1]
        widths[index] = max(wide - excess, min(wide - 1, texts[-2][0] if len(texts) > 1 else 1))

    def parts(cell: Text | str, size: int, width: int) -> Sequence[Text | str]:
        if size <= width and "\n" not in str(cell):
            return (cell,)
        return list((cell if isinstance(cell, Text) else Text(cell)).wrap(console, width, overflow="fold"))

    edge, gap = " " * (GAP // 2 if titles else 0), " " * GAP
    printed: list[str] = [""] if titles else []
    for number, (line, size) in enumerate(zip(lines, sizes, strict=True)):
        folded = [parts(line[index], size[index], widths[index]) for index in shown]
        for cells in itertools.zip_longest(*folded, fillvalue=""):
            pieces: list[Text | str] = [edge]
            for index, cell in zip(shown, cells, strict=True):
                space = " " * (widths[index] - (size[index] if cell is line[index] else cell_len(str(cell))))
                pieces += [space, cell, gap] if columns[index].right else [cell, space, gap]
            pieces[-1] = edge
            if any(isinstance(piece, Text) for piece in pieces):
                sys.stdout.write("".join(f"{done}\n" for done in printed))
                printed.clear()
                console.print(Text.assemble(*pieces), soft_wrap=True)
            else:  # a hundred times as fast, for lists of thousands
                printed.append("".join(map(str, pieces)))
        if titles and not number:
            printed.append(f"{edge}{'─' * (sum(widths[index] + GAP for index in shown) - GAP)}{edge}")
    printed += [""] if titles else []
    sys.stdout.write("".join(f"{done}\n" for done in printed))
    return tuple(column.title for index, column in enumerate(columns) if index not in shown)


# The live view.

REFRESH_HZ = 8
BAR_CELLS = 20
NAME_CELLS = 48


@dataclass(frozen=True)
class LiveRow:
    """One thing that is being done.

    state: one of LOOKS, "active" for what is being worked on
    words: what it is doing, and how far it is
    share: of it that is done, from 0 to 1, where a bar should say so
    note: the last remarkable thing, in a line of its own
    step: where standard error is no terminal, a line is printed whenever this (or the note) becomes another text
    """

    state: str
    name: str
    words: str = ""
    share: float | None = None
    note: str = ""
    step: str = ""


class LiveView:
    """Rows on standard error, drawn over themselves on a terminal, else a line for every step worth one."""

    def __init__(self, live: Live | None) -> None:
        self._live = live
        self._printed: dict[int, tuple[str, str]] = {}

    def show(self, rows: Sequence[LiveRow], above: Sequence[str] = (), below: str = "") -> None:
        """Show rows; on a terminal with lines above them, and one below that says how far the whole is."""
        if self._live is not None:
            from rich.console import Group

            self._live.update(Group(*_lines(rows, above, below)))
            return
        for index, row in enumerate(rows):
            before = self._printed.get(index, ("", ""))
            for text, earlier in zip((row.note, row.step), before, strict=True):
                if text and text != earlier:
                    say(f"{row.name}: {text}", error=True)
            self._printed[index] = (row.note, row.step)


@contextlib.contextmanager
def live_view() -> Iterator[LiveView]:
    """The live view; on a terminal nothing of it is left at its end."""
    if not sys.stderr.isatty():
        yield LiveView(None)
        return
    from rich.live import Live

    with Live(console=_console(stderr=True), refresh_per_second=REFRESH_HZ, transient=True) as live:
        yield LiveView(live)


def counted(title: str, noun: str, found: Iterable[R]) -> tuple[R, ...]:
    """All that a slow search finds, counted while it searches."""
    with live_view() as view:
        kept = []
        for one in found:
            kept.append(one)
            view.show([LiveRow("running", title, count(len(kept), noun))])
    return tuple(kept)


def watch(
    rows: Callable[[], Sequence[LiveRow]],
    join: Callable[[float], bool],
    above: Sequence[str] = (),
    below: Callable[[], str] = str,
) -> None:
    """Show what runs in other threads until it has ended. Raises KeyboardInterrupt as it comes.

    join: waits for the end, but no longer than so many seconds; returns whether it has come
    """
    with live_view() as view:
        view.show(rows(), above, below())
        while not join(1 / REFRESH_HZ):
            view.show(rows(), above, below())
        view.show(rows(), above, below())


def joined(thread: Thread) -> Callable[[float], bool]:
    """The `join` of a thread."""

    def join(seconds: float) -> bool:
        thread.join(seconds)
        return not thread.is_alive()

    return join


def watch_job(job: Job[Any], *, steps: bool = False) -> bool:
    """Start a job and show it until it has ended. Returns False where Ctrl-C cancelled it; raises its error.

    steps: whether what its rows do is worth lines where standard error is no terminal
    """
    from speedtest_tui.core.jobs.job import words

    def live(row: JobRow) -> LiveRow:
        return LiveRow(row.state, row.title, words(row), row.share, step=_step(row) if steps else "")

    job.start()
    uninterrupted = True
    try:
        watch(lambda: [live(row) for row in job.view.rows], joined(job))
    except KeyboardInterrupt:
        uninterrupted = False
        job.cancel()
        job.join()
    if job.error is not None:
        raise job.error
    return uninterrupted


def result_of(job: Job[R]) -> R:
    """Start a job and show it until it has ended. Raises KeyboardInterrupt where it was cancelled, and its error."""
    if not watch_job(job) or job.result is None:
        raise KeyboardInterrupt
    return job.result


def _step(row: JobRow) -> str:
    """What a job's row is doing, in words that change only with every quarter of it."""
    if row.state != "running":
        return ""
    quarter = int((row.share or 0) * 4)
    part = f"{25 * quarter} % of {amount(row.total)}" if quarter and row.total else ""
    return ", ".join(filter(None, (part, row.note))) or LOOKS[row.state].word


def line(row: JobRow, end: str = "") -> str:
    """How a job's row ended."""
    from speedtest_tui.core.jobs.job import words

    return f"{LOOKS[row.state].glyph} {row.title}: {words(row)}{end}"


def _lines(rows: Sequence[LiveRow], above: Sequence[str] = (), below: str = "") -> list[Text]:
    """A line for each row, cut off at the terminal's edge, and one below it for its note."""
    from rich.cells import cell_len
    from rich.text import Text

    width = max((min(NAME_CELLS, cell_len(row.name)) for row in rows), default=0)
    lines = [heading(text) for text in above]
    for row in rows:
        name = row.name + " " * (width - cell_len(row.name))
        lines.append(Text.assemble(glyph(row.state), "  ", "  ".join(filter(None, (name, _bar(row.share), row.words)))))
        if row.note:
            lines.append(Text(f"   {row.note}"))
    lines += [toned(below, "now")] if below else []
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return lines


def _bar(share: float | None) -> str:
    if share is None:
        return ""
    cells = int(share * BAR_CELLS)
    return "━" * cells + "╌" * (BAR_CELLS - cells)


# Results in files.

FORMS = ("json", "csv", "markdown", "html", "svg")


def requested(options: argparse.Namespace) -> dict[str, str]:
    """Form -> file, or "-" for standard output.

    Raises UserError for what cannot work, before anything is measured for it.
    """
    from speedtest_tui.core import disk

    outputs = {form: target for form in FORMS if (target := getattr(options, form)) is not None}
    if list(outputs.values()).count("-") > 1:
        raise UserError("only one result can go to standard output", "give the others a file")
    files = set()
    for target in outputs.values():
        if target == "-":
            continue
        if not target or target.endswith("/") or disk.is_folder(Path(target)):
            raise UserError(f"cannot write {target or 'to a file without a name'}", "name a file, not a folder")
        if not disk.is_folder(Path(target).absolute().parent):
            raise UserError(f"cannot write {target}", "its folder does not exist")
        if (real := os.path.realpath(target)) in files and not real.startswith("/dev/"):
            raise UserError(f"two results cannot go to {target}", "give each a file of its own")
        files.add(real)
    return outputs


def write(outputs: dict[str, str], documents: Sequence[Document]) -> bool:
    """Write the asked-for forms; with several documents JSON becomes a list and the others follow one another.

    Returns whether all could be written; what could not is named on stderr.
    """
    from speedtest_tui.core import codec
    from speedtest_tui.core.jobs.race import marks_of
    from speedtest_tui.core.sessions import export, page

    def text_of(form: str) -> str:
        if form == "json":
            return codec.document(documents[0] if len(documents) == 1 else documents)
        if form == "html":
            return page.to_html(documents, [marks_of(document) for document in documents])
        if form == "svg":
            return page.to_svg(documents)
        render = export.to_csv if form == "csv" else export.to_markdown
        return "\n".join(render(document) for document in documents)

    return write_forms(outputs, text_of)


def write_forms(outputs: dict[str, str], text_of: Callable[[str], str]) -> bool:
    """Write each form where it was asked for; returns whether all could be written, and names what could not."""
    from speedtest_tui.core import disk

    whole = True
    for form, target in outputs.items():
        text = text_of(form)
        if target == "-":
            sys.stdout.write(text)
            continue
        try:
            disk.write_where_asked(Path(target), text.encode())
        except OSError as error:
            complain(f"{target} could not be written ({error.strerror or error}): choose another file")
            whole = False
    return whole
