"""Each backend's model: its status in each cache, whether it loads, and the job that works on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from speedtest_tui.core import format as figures
from speedtest_tui.ui.widgets.bar_layout import FILL_NOW, STYLE_BEST, STYLE_NEEDS_YOU, STYLE_NOW, STYLES, Span, bar
from speedtest_tui.ui.widgets.line_text import column

if TYPE_CHECKING:
    from speedtest_tui.core.jobs.job import JobView
    from speedtest_tui.core.models.status import CacheState, ModelReport


NAME, LOADS, SIZE, MODEL_MIN = 13, 8, 8, 10


@dataclass(frozen=True)
class Work:
    """What is being done to one model, in words, and its share from 0 to 1, None where unknown; or why it failed."""

    text: str
    share: float | None = None
    failed: bool = False


@dataclass(frozen=True)
class ModelColumns:
    """Widths in cells; 0 for a column that does not fit."""

    model: int
    cache: int
    whisper: int
    size: int
    words: bool


def model_columns(width: int) -> ModelColumns:
    """Choose columns for lines of `width` cells: words and a column of sizes where there is room for them."""
    fixed = NAME + 1 + LOADS + 1
    if width - fixed - 3 * 16 - SIZE - 1 >= 18:
        return ModelColumns(min(36, width - fixed - 3 * 16 - SIZE - 1), 15, 15, SIZE, words=True)
    return ModelColumns(max(0, width - fixed - 2 * 10 - 1), 9, 0, 0, words=False)


def model_header(width: int) -> str:
    """The titles above the lines."""
    c = model_columns(width)
    titles = [column("backend", NAME), column("model", c.model), column("HF", c.cache), column("local", c.cache)]
    titles += [column("whisper", c.whisper)] if c.whisper else []
    titles += [column("loads", LOADS)]
    titles += [column("on disk", c.size, right=True)] if c.size else []
    return " ".join(titles)


def model_line(report: ModelReport, width: int, work: Work | None = None) -> list[Span]:
    """One backend's model in `width` cells; work that is running takes the place of the states."""
    from speedtest_tui.core.models import wording

    c = model_columns(width)
    name = wording.model_name(report)
    spans: list[Span] = [(column(report.backend, NAME), "bold"), (" " + column(name, c.model) + " ", "")]
    room = width - NAME - c.model - 2
    if work is not None:
        return [*spans, *_working(work, room)]
    if sentence := _instead(report):
        return [*spans, (column(sentence, room), STYLE_NEEDS_YOU)]
    text, mood = wording.loads(report)
    loads = (column(text, LOADS), STYLES[mood])
    if report.spec is not None and report.spec.kind == "bundled":
        cells = 2 * (c.cache + 1) + (c.whisper + 1 if c.whisper else 0) - 1
        return [*spans, (column("✓ in its library", cells), STYLE_BEST), (" ", ""), loads]
    write = wording.long if c.words else wording.short
    for state, cells in _shown(report, c):
        text, mood = write(state)
        spans += [(column(text, cells), STYLES[mood]), (" ", "")]
    spans.append(loads)
    if c.size:
        size = max((state.bytes for _, state in report.states), default=0)
        spans.append((" " + column(figures.megabytes(size / 1e6) if size else figures.DASH, c.size, right=True), ""))
    return spans


def _shown(report: ModelReport, c: ModelColumns) -> list[tuple[CacheState, int]]:
    """The states and their widths; without a column of its own the whisper cache shares that of the local one."""
    from speedtest_tui.core.models import wording

    hf, local, whisper = (report.state(name) for name in ("hf", "local", "whisper"))
    if c.whisper:
        return [(hf, c.cache), (local, c.cache), (whisper, c.whisper)]
    return [(hf, c.cache), (wording.best(local, whisper), c.cache)]


def _instead(report: ModelReport) -> str:
    """What a line says instead of states: the backend cannot run, has no such model, or needs no file."""
    if report.unavailable:
        return str(report.unavailable.advice)
    if report.spec is None:
        return "choose another size"
    return report.spec.missing_reason


def _working(work: Work, room: int) -> list[Span]:
    text = work.text
    if work.failed:
        return [(column(f"{figures.LOOKS['failed'].glyph} {text}", room), STYLE_NEEDS_YOU)]
    while len(text) + 2 > room and ", " in text:
        text = text.rpartition(", ")[0]  # the most important comes first
    cells = max(0, min(24, room - len(text) - 3)) if work.share is not None else 0
    drawn = bar(work.share or 0.0, cells) + " " if cells >= 6 else ""
    return [(drawn, FILL_NOW), (column(f"► {text}", room - len(drawn)), STYLE_NOW)]


class ModelList(Widget):
    """A header and one line a backend."""

    DEFAULT_CSS = "ModelList { height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self._reports: tuple[ModelReport, ...] = ()
        self._work: Mapping[str, Work] = {}

    def show(self, reports: Sequence[ModelReport], work: Mapping[str, Work]) -> None:
        height = len(self._reports)
        self._reports, self._work = tuple(reports), work
        self.refresh(layout=height != len(self._reports))

    def render(self) -> Content:
        if not self._reports:
            return Content("reading the caches")
        width = self.size.width
        lines = [Content.styled(model_header(width), "underline")]
        for report in self._reports:
            lines.append(Content.assemble(*model_line(report, width, self._work.get(report.backend))))
        return Content("\n").join(lines)


class ModelsPane(VerticalScroll):
    """The list in a frame."""

    BORDER_TITLE = "Models"
    ALLOW_MAXIMIZE = True

    def __init__(self) -> None:
        super().__init__(id="models")
        self._list = ModelList()
        self._reports: tuple[ModelReport, ...] = ()
        self._failed: dict[str, Work] = {}

    def compose(self) -> ComposeResult:
        yield self._list

    def show(self, reports: Sequence[ModelReport]) -> None:
        """Show what was found; of what could not be downloaded why, until it is there or tried again."""
        self._reports = tuple(reports)
        there = {report.backend for report in self._reports if report.usable}
        self._failed = {backend: work for backend, work in self._failed.items() if backend not in there}
        self._list.show(self._reports, self._failed)

    def show_job(self, view: JobView) -> None:
        """Show what is being done to a backend's model in place of how it stands."""
        from speedtest_tui.core.jobs.job import words

        work = {
            backend: Work(words(row), row.share)
            for row in view.rows
            if row.state == "running" and not view.over
            for backend in row.backends
        }
        if view.kind == "download":
            self._failed = {
                backend: Work(words(row), failed=True)
                for row in view.rows
                if row.state == "failed" and view.over
                for backend in row.backends
            }
        self._list.show(self._reports, {**self._failed, **work})
