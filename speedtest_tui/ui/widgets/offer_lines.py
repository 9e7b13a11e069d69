"""How a candidate that could race is laid out at a given width, and what is said below the list. Pure: no widget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.cells import cell_len
from textual.content import Content

from speedtest_tui.core.format import DASH, about, amount, count, megabytes, one_line, parameters
from speedtest_tui.core.jobs.offers import (
    Offer,
    Offers,
    downloadable,
    expected_s,
    memory,
    missing_bytes,
    model_bytes,
    to_download,
)
from speedtest_tui.core.jobs.offers import standing as standing_of
from speedtest_tui.core.models import wording
from speedtest_tui.core.models.inspect import sentence
from speedtest_tui.ui.widgets.bar_layout import STYLE_BEST, STYLE_NEEDS_YOU, STYLES
from speedtest_tui.ui.widgets.line_text import column, fit_apart

GAP = 2
MARK, STATUS, SIZE = 3, 17, 7
MODEL_MIN, MODEL_MAX = 12, 44
BACKEND_MIN, BACKEND_MAX = 12, 20
"""Cells; the name of a model takes what is left."""


def _size(offer: Offer) -> str:
    """Bytes on disk, or to be downloaded where some are missing."""
    if offer.barred or not (size := missing_bytes(offer.report) or model_bytes(offer.report)):
        return ""
    return megabytes(size / 1e6)


def _memory(offer: Offer) -> str:
    return megabytes(offer.memory / 1e6) if offer.memory else DASH


FACTS: tuple[tuple[str, int, Callable[[Offer], str]], ...] = (
    ("memory", 7, _memory),
    ("params", 7, lambda offer: parameters(offer.parameters) if offer.parameters else DASH),
    ("bits", 9, lambda offer: offer.precision or DASH),
    ("languages", 12, lambda offer: offer.languages or DASH),
)
"""Further columns, in the order of their importance: title, cells, text."""


class Layout:
    """Which columns fit into `width` cells, and how wide they are."""

    def __init__(self, width: int, offers: Sequence[Offer]) -> None:
        names = {_backend(offer) for offer in offers}
        self.narrow = width < 60
        self.status = 1 if self.narrow else STATUS
        self.size = SIZE if width >= 52 else 0
        self.facts = 0
        room = width - MARK - self.status - 3 * GAP - (self.size + GAP if self.size else 0)
        longest = min(max(map(cell_len, names), default=0), BACKEND_MAX)
        self.backend = min(longest, max(BACKEND_MIN, room - MODEL_MIN))
        self._backends = fit_apart(names, self.backend)
        room -= self.backend
        for _, cells, _ in FACTS:
            if room - cells - GAP < 24:
                break
            room -= cells + GAP
            self.facts += 1
        self.model = max(MODEL_MIN, min(MODEL_MAX, room))
        self._models = fit_apart({one_line(offer.group) for offer in offers}, self.model)

    def header(self) -> str:
        """The titles of the columns."""
        titles = [column("model", self.model), column("", MARK), column("backend", self.backend)]
        titles += [column("", 1) if self.narrow else column("status", STATUS)]
        titles += [column("size", SIZE, right=True)] if self.size else []
        titles += [column(title, cells, right=title != "languages") for title, cells, _ in FACTS[: self.facts]]
        return (" " * GAP).join(titles)

    def line(self, offer: Offer, *, chosen: bool, first: bool) -> Content:
        """One candidate. first: whether the one above is of another model"""
        text, mood = standing_of(offer)
        status = text[:1] if self.narrow else text
        parts: list[tuple[str, str]] = [
            (column(self._models[one_line(offer.group)] if first else "", self.model), "bold"),
            ("  [x]  " if chosen else "   ○   " if offer.barred else "  [ ]  ", STYLE_BEST if chosen else ""),
            (column(self._backends[_backend(offer)], self.backend), STYLE_BEST if chosen else ""),
            ("  " + column(status, self.status), STYLES[mood]),
        ]
        parts += [("  " + column(_size(offer), SIZE, right=True), "")] if self.size else []
        for title, cells, write in FACTS[: self.facts]:
            parts.append(("  " + column(write(offer), cells, right=title != "languages"), ""))
        return Content.assemble(*parts)


def _backend(offer: Offer) -> str:
    set_to = " ".join(f"{name}={value}" for name, value in offer.candidate.options)
    return one_line(f"{offer.candidate.backend} {set_to}".rstrip())


def details(offer: Offer) -> Iterator[str]:
    """What is known of a candidate, and below it what stands in its way or what else is to be known; a line each."""
    report, spec = offer.report, offer.report.spec
    if spec is None:
        yield offer.candidate.backend
    else:
        known = f"{parameters(offer.parameters)} parameters" if offer.parameters else ""
        facts = (
            one_line(spec.source.rpartition("/")[2] if spec.kind == "openai" else spec.source),
            known if offer.counted else known and f"about {known}",
            offer.precision,
            offer.languages,
            f"memory about {_memory(offer)}" if offer.memory else "",
        )
        yield " · ".join(filter(None, facts))
    if report.unavailable:
        yield f"{report.unavailable.sentence(offer.candidate.backend)}: {report.unavailable.advice.todo}"
        return
    if spec is None or spec.missing_reason:
        yield spec.missing_reason if spec else ""
        return
    state = wording.nearest(report)
    if report.usable and state.state != "complete" and report.fallback is not None and report.fallback.spec is not None:
        yield f"{report.fallback.spec.source} runs in its place"
    elif not report.usable and state.state not in ("missing", "not-applicable"):
        yield f"{sentence(state)} · {'d' if state.state == 'partial' else 'c'} in the dashboard repairs it"
    elif not report.usable and downloadable(report):
        yield "not on this machine: d in the dashboard downloads it, or enter before a race"
    others = [size for size in report.sizes if size != offer.group]
    if len(report.sizes) > 1 and offer.origin == "catalogue":
        yield f"also called {', '.join(others)}"


def total(chosen: Sequence[Offer], known: Offers, runs: int, warmup: int) -> list[tuple[str, str]]:
    """The sum of a choice in parts with their styles: how many, bytes to download, memory and what is free, time."""
    parts = [(count(len(chosen), "candidate"), "bold")]
    missing = to_download(offer.report for offer in chosen)
    if missing.models:
        what = f"{missing.words} to download" if missing.words else "to download"
        parts.append((f"{what} ({count(missing.models, 'model')})", STYLE_NEEDS_YOU))
    needed, unknown, fits = memory(chosen, known.free_memory)
    if needed:
        words = f"memory {'at least' if unknown else 'about'} {amount(needed)} of {amount(known.free_memory)} free"
        parts.append((words, ""))
        if not fits and len(chosen) > 1:
            parts.append(("not all at once", STYLE_NEEDS_YOU))
    seconds = expected_s((offer.candidate.name for offer in chosen), known.earlier, runs, warmup)
    if seconds is not None:
        parts.append((f"about {about(seconds).strip()}, as earlier", ""))
    return parts
