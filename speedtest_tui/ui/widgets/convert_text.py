"""A checkpoint, the number formats that it can be converted to, and the proof of a conversion, in words and columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static
from textual.widgets.option_list import Option

from speedtest_tui.core import format as figures
from speedtest_tui.core.format import amount, one_line, parameters
from speedtest_tui.core.locations import short
from speedtest_tui.ui.widgets.bar_layout import STYLE_BEST, STYLE_FAILED, STYLE_NEEDS_YOU
from speedtest_tui.ui.widgets.line_text import column, fit, fit_path, spread
from speedtest_tui.ui.widgets.pick_list import PickList

if TYPE_CHECKING:
    from speedtest_tui.core.convert.preview import Form, Preview
    from speedtest_tui.core.convert.report import Report, StageFigure


LABEL = 12
FORM, OUTPUT = 10, 10
HASHED_NAME = re.compile(r"^[0-9a-f]{32}_")
"""NeMo puts a random number before the names of files in an archive."""

NOTES = {"bfloat16": "as most are published", "float32": "every digit of the checkpoint"}

STAGE, STAGE_MAX, FIGURE, CHOICE, BOUND, VERDICT = 13, 29, 10, 13, 10, 8


def source_lines(seen: Preview, width: int) -> list[str]:
    """What was found in a checkpoint, label and value, each cut to `width` cells."""
    names = [HASHED_NAME.sub("", name) for name in seen.tokenizers]
    several = f"{len(names)} tokenizers" if len(names) > 1 else "".join(names)
    tokens = f"{several} for {', '.join(seen.languages)}" if seen.languages else several
    memory = f"about {amount(seen.memory_bytes)} to convert, of {seen.memory_total / 2**30:.0f} GB"
    if seen.memory_bytes > seen.memory_total:
        memory += ": more than this machine has"
    lines = [
        ("family", f"{seen.family} ({seen.target}), for {seen.reader}"),
        ("encoder", seen.encoder),
        *(("decoder", text) for text in seen.decoders),
        ("tokenizer", tokens),
        ("parameters", f"{parameters(seen.parameters)}, in a file of {amount(seen.bytes)}"),
        ("memory", memory),
    ]
    found = [(label, fit(one_line(text), width - LABEL)) for label, text in lines]
    path = fit_path(one_line(short(seen.path)), width - LABEL)
    return [f"{column(label, LABEL)}{text}" for label, text in [("file", path), *found]]


def form_header() -> str:
    """The titles above the number formats, aligned with their lines."""
    return f"{column('format', FORM)}{column('weights', OUTPUT, right=True)}"


def form_line(form: Form, free: int | None, width: int) -> Content:
    """A number format: what it makes of the model, and why it cannot be chosen where it cannot."""
    size = amount(form.output_bytes) if form.output_bytes else figures.DASH
    problem = form.problem or too_large(form, free)
    start = f"{column(form.name, FORM)}{column(size, OUTPUT, right=True)}  "
    note = fit(problem or form.note or NOTES.get(form.name, ""), max(0, width - len(start)))
    return Content.assemble(fit(start, width), (note, STYLE_NEEDS_YOU if problem else ""))


def too_large(form: Form, free: int | None) -> str:
    """Why a result does not fit on the disk, or empty; `free` is None while it is not known."""
    if free is None or form.output_bytes <= free:
        return ""
    return f"does not fit: {amount(free)} free"


def status(name: str, free: int | None, width: int) -> str:
    """The first line: what is being converted, and the room for it."""
    right = f"{amount(free)} free " if free is not None else ""
    return spread(f" Convert   {one_line(name)}", right, width)


def parity(report: Report, width: int) -> Content:
    """The proof as a table: how far the stages are from PyTorch, and how far they may be."""
    wide = width >= STAGE + 2 * FIGURE + CHOICE + BOUND + VERDICT
    titles = [column("stage", _stage_width(width)), column("largest", FIGURE, right=True)]
    titles += [column("relative", FIGURE, right=True)]
    titles += [column("same choice", CHOICE, right=True)] if wide else []
    titles += ["  " + column("bound", BOUND - 2), column("verdict", VERDICT)]
    lines = [Content.styled("".join(titles), "underline")]
    lines += [Content.assemble(*_stage(stage, width, wide)) for stage in report.stages]
    return Content("\n").join(lines)


def limited(report: Report) -> str:
    """Which of the differences the bound is for."""
    kinds = {stage.kind for stage in report.stages}
    return f"the bound is for the {'largest' if kinds == {'max_difference'} else 'relative'} difference"


def _stage_width(width: int) -> int:
    """Names of stages get what the figures leave, up to the longest."""
    return max(STAGE, min(STAGE_MAX, width - 2 * FIGURE - CHOICE - BOUND - VERDICT))


def _stage(stage: StageFigure, width: int, wide: bool) -> Iterator[str | tuple[str, str]]:
    yield column(stage.stage, _stage_width(width))
    yield column(f"{stage.max_difference:.1e}", FIGURE, right=True)
    yield column(f"{stage.relative:.1e}", FIGURE, right=True)
    if wide:
        # The encoder chooses nothing.
        yield column("" if stage.share is None else f"{stage.share:.1%}", CHOICE, right=True)
    yield "  " + column(f"≤ {stage.bound:g}", BOUND - 2)
    yield ("✓ within", STYLE_BEST) if stage.ok else ("✗ beyond", STYLE_FAILED)


class FormsPane(Vertical):
    """A list in a frame. It is driven by the screen's keys."""

    BORDER_TITLE = "Number format"

    def __init__(self) -> None:
        super().__init__(id="convert-forms")
        self._forms: tuple[Form, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static(Content(f" {form_header()}"), id="convert-titles")
        yield PickList(id="convert-list")

    @property
    def marked(self) -> Form | None:
        """The format that a conversion would take."""
        place = self.query_one(PickList).highlighted
        return self._forms[place] if place is not None and place < len(self._forms) else None

    def show(self, forms: Sequence[Form], free: int | None) -> None:
        """Fill the list; `free` is the room on the disk. A mark stays where it is."""
        entries = self.query_one(PickList)
        before, self._forms = entries.highlighted, tuple(forms)
        entries.set_options(
            Option(form_line(form, free, entries.text_width), disabled=bool(form.problem)) for form in self._forms
        )
        entries.highlighted = before if before is not None and before < len(self._forms) else None

    def mark_first(self) -> None:
        """Mark the first format that can be chosen."""
        usable = (place for place, form in enumerate(self._forms) if not form.problem)
        self.query_one(PickList).highlighted = next(usable, None)

    def move(self, how: str) -> None:
        """Mark another one."""
        self.query_one(PickList).move(how)
