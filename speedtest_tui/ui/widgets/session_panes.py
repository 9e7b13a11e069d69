"""The two panes of the sessions' screen, and what they show: a session as a line, in full, and compared with another.

Both panes report when their width has changed, and the screen fills them again.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.message import Message
from textual.widgets import DataTable, Static

from speedtest_tui.core import format as figures
from speedtest_tui.core.format import LOOKS, one_line
from speedtest_tui.core.locations import short
from speedtest_tui.core.race.row import answer_line, place_mark, quality, quality_title, relative
from speedtest_tui.core.sessions.compare import BackendChange, Comparison, factor_words
from speedtest_tui.core.sessions.document import Begun, Document, Result
from speedtest_tui.core.sessions.export import median, weights
from speedtest_tui.core.sessions.index import Summary
from speedtest_tui.core.sessions.store import DamagedSession, Session
from speedtest_tui.ui.widgets.bar_layout import STYLE_BEST, STYLE_FAILED, STYLE_NEEDS_YOU, STYLES
from speedtest_tui.ui.widgets.line_text import column, fit, wrap


class DetailsScroll(VerticalScroll):
    """What the highlighted session says; laid out for its width."""

    class WidthChanged(Message):
        """Lay it out again."""

    def compose(self) -> ComposeResult:
        yield Static(id="session-text")

    def on_resize(self, event: Resize) -> None:
        self.post_message(self.WidthChanged())


class SessionsTable(DataTable[Text]):
    """Columns of a fixed width for the width there is."""

    class WidthChanged(Message):
        """Fill it again."""

    def on_resize(self, event: Resize) -> None:
        self.post_message(self.WidthChanged())

    def widths(self) -> dict[str, int]:
        """Cells of each column; the clip's name takes what is left."""
        room = self.scrollable_content_region.width
        widths = {"started": 16 if room >= 66 else 11, "clip": 0, "size": 9 if room >= 76 else 0, "fastest": 24}
        widths["clip"] = max(9, room - 2 - sum(width + 2 for width in widths.values() if width))
        return {title: width for title, width in widths.items() if width}

    def cells(self, line: SessionLine, widths: dict[str, int]) -> Iterator[Text]:
        when = line.when[-widths["started"] :] if line.when[:1].isdigit() else line.when
        texts = {"started": when, "clip": line.clip_name, "size": line.size, "fastest": line.result}
        for title, width in widths.items():
            yield Text(fit(texts[title], width), no_wrap=True)


LONG_TEXT = 600
"""Characters of a transcript in the short form; an hour of speech has fifty thousand."""


@dataclass(frozen=True)
class SessionLine:
    """A session, damaged or not, as the list shows it."""

    key: str
    when: str
    clip_name: str
    size: str
    result: str
    damaged: bool = False


def line_of(session: Summary | DamagedSession) -> SessionLine:
    if isinstance(session, DamagedSession):
        return SessionLine(session.name, _named(session.name), "✗ damaged", "", session.reason, damaged=True)
    return SessionLine(
        session.name,
        when(session),
        one_line(session.clip.name),
        session.plan.models,
        _result(session),
    )


def light(session: Session) -> Session:
    """A session without segments and words, the bulk of it, which are shown nowhere here."""
    document = session.document
    results = tuple(replace(result, segments=(), words=()) for result in document.results)
    return replace(session, document=replace(document, results=results))


def when(session: Begun) -> str:
    """When a session was started, in local time."""
    return _local(session.begun)


def _named(name: str) -> str:
    """The time in a folder's name, or the name where somebody else gave it."""
    try:
        return _local(datetime.datetime.strptime(name[:15], "%Y%m%dT%H%M%S").replace(tzinfo=datetime.UTC))
    except ValueError:
        return one_line(name)


def _local(moment: datetime.datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def _result(session: Summary) -> str:
    cancelled = "– cancelled" if session.state == "cancelled" else ""
    best = session.best
    fastest = f"{session.winners} {figures.seconds(best.median_s)}" if best else ""
    return " · ".join(filter(None, (cancelled, fastest))) or "✗ nothing finished"


def damage(session: DamagedSession, width: int) -> Content:
    """Why a session cannot be shown."""
    return Content.assemble(
        ("✗ damaged: ", STYLE_FAILED), f"{session.reason}\n\n", "Its folder, with whatever can still be used:\n",
        "\n".join(_broken(short(session.folder), width)),
    )  # fmt: skip


def _broken(text: str, width: int) -> Iterator[str]:
    """Paths have no spaces to break at."""
    text = one_line(text)
    for start in range(0, len(text), max(1, width)):
        yield text[start : start + max(1, width)]


def details(session: Session, width: int, *, whole: bool = False) -> Content:
    """Everything about a session; whole: transcripts to their end."""
    document = session.document
    clip, plan, host = document.clip, document.plan, document.host
    state = "– cancelled: what was measured until then counts\n" if document.state == "cancelled" else ""
    answer = answer_line(document.verdict)
    parts: list[Part] = [(f"{answer}\n", "bold")] if answer else []
    parts.append((document.verdict.sentence, "" if answer else "bold"))
    parts += ["\n", (state, STYLE_NEEDS_YOU), "\n"]
    parts += _table(document, width)
    for result in document.ordered:
        parts += _transcript(result, width, whole)
    if remarks := [*clip.warnings, *document.notes]:
        parts += ["\n", *((f"! {one_line(remark)}\n", STYLE_NEEDS_YOU) for remark in remarks)]
    language = plan.language or "auto"
    facts = (
        ("clip", f"{clip.name} · {figures.seconds(clip.seconds)}"),
        ("reference", clip.reference or ""),
        ("plan", f"{plan.title} · {plan.runs} runs, {plan.order_words} · language {language}"),
        ("machine", f"{host.chip} · {host.cores_words} · {host.memory_bytes / 2**30:.0f} GB"),
        ("", f"{host.system} · Python {host.python} · load {host.load:.2f} · {document.program}"),
        ("conditions", " · then ".join(dict.fromkeys(filter(None, (one.sentence for one in document.conditions))))),
        ("weights", "\n".join(f"{r.label}: {weights(r)}" for r in document.ordered if r.model)),
        ("saved in", "\n".join(_broken(short(session.folder), width - 11))),
    )
    parts.append("\n")
    for title, text in facts:
        if text:
            lines = [line for paragraph in text.splitlines() for line in wrap(one_line(paragraph), width - 11)]
            parts += [(column(title, 11), "bold"), ("\n" + " " * 11).join(lines), "\n"]
    return Content.assemble(*parts)


Part = Content | str | tuple[str, str]


def _table(document: Document, width: int) -> Iterator[Part]:
    """The results in columns, as many as fit."""
    columns: list[tuple[str, int, Callable[[Result], str]]] = [
        ("median ±95 %", 15, median),
        ("RTFx", 7, lambda r: figures.rtfx(r.rtfx)),
    ]
    optional: list[tuple[str, int, Callable[[Result], str]]] = [
        (quality_title(document.results) or "WER", 6, quality),
        ("relative", 13, relative),
        ("memory", 8, lambda r: figures.megabytes(r.memory_mb)),
        ("load", 8, lambda r: figures.seconds(r.load_s)),
        ("first", 8, lambda r: figures.seconds(r.first_s)),
    ]
    name = min(28, max((cell_len(result.label) for result in document.results), default=8))
    room = width - 4 - name - sum(size + 2 for _, size, _ in columns)
    for extra in optional:
        if room >= extra[1] + 2:
            room -= extra[1] + 2
            columns.append(extra)
    head = "  ".join(column(title, size, right=True) for title, size, _ in columns)
    yield f"    {column('candidate', name)}  {head}\n", "underline"
    for result in document.ordered:
        if result.status != "ok":
            continue
        style = STYLE_BEST if result.rank == 1 else ""
        yield f"{column(place_mark(result), 4)}{column(result.label, name)}  ", style
        yield "  ".join(column(str(cell(result)), size, right=True) for _, size, cell in columns) + "\n"


def _transcript(result: Result, width: int, whole: bool) -> Iterator[Part]:
    """A backend's text, or why there is none."""
    shown = LOOKS.get(result.status, LOOKS["failed"])
    yield f"\n{shown.glyph} ", STYLES[shown.mood]
    yield result.label, "bold"
    title = quality_title([result])
    yield f"   {title} {quality(result)}\n" if title else "\n"
    text = one_line(" ".join((result.text or "").split()))
    if len(text) > LONG_TEXT and not whole:
        text = f"{text[:LONG_TEXT]} … ({len(text):,} characters)"
    if result.status == "ok":
        text = text or "(no text)"
    lines = wrap(text, width - 2) if text else []
    if result.status != "ok":
        lines += wrap(one_line(result.reason), width - 2)
    lines += [line for warning in result.warnings for line in wrap(f"! {one_line(warning)}", width - 2)]
    yield "".join(f"  {line}\n" for line in lines)


def comparison(found: Comparison, before: Session, width: int) -> Content:
    """What changed since an earlier session."""
    parts: list[Part] = [
        (f"{found.headline}\n\n", "bold"),
        f"compared with {when(before.document)}, {one_line(before.document.clip.name)}\n\n",
    ]
    name = min(28, max((cell_len(change.label) for change in found.backends), default=8))
    if width >= 40:
        parts.append((f"  {column('candidate', name)}  {'before':>8}  {'now':>8}  change\n", "underline"))
    for change in found.backends:
        glyph, word, mood = LOOKS[change.change]
        style = STYLES[mood]
        times = f"{figures.seconds(change.before_s):>8}  {figures.seconds(change.after_s):>8}  "
        factor = _factor(change)
        beside = cell_len(word + factor) + name + 25 <= width
        parts += [(f"{glyph} ", style), f"{column(change.label, name)}  {times}", (word, style)]
        parts.append(f"  {factor}" if factor and beside else "")
        texts = [*([] if beside else [factor]), *_changed(change)]
        lines = [line for text in texts if text for line in wrap(one_line(text), width - 4)]
        parts += ["\n", *(f"    {line}\n" for line in lines)]
    notes = [*(difference.sentence for difference in found.differences), *found.remarks]
    if notes:
        parts.append(("\nDifferences and notes\n", "bold"))
        parts += [f"  {line}\n" for note in notes for line in wrap(one_line(note), width - 2)]
    return Content.assemble(*parts)


def _factor(change: BackendChange) -> str:
    return factor_words(change.factor) if change.factor else ""


def _changed(change: BackendChange) -> Iterator[str]:
    if change.text is not None and change.text != "same":
        yield f"its text changed: {change.text}"
    if change.wer_change:
        yield change.errors
    if change.detail:
        yield change.detail
    for difference in change.differences:
        yield difference.sentence
