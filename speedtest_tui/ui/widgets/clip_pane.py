"""The clip: what it is, how it looks, how loud it is, what is wrong with it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from speedtest_tui.core import figures
from speedtest_tui.ui.messages import ClipView
from speedtest_tui.ui.widgets.bar_layout import FILL_QUIET

LEVELS = " ▁▂▃▄▅▆▇█"
FLOOR_DB = -48.0
"""What an empty cell stands for; room noise lies below it."""


def waveform(outline: tuple[float, ...], width: int) -> str:
    """The outline, peaks from 0 to 1, in `width` cells on a scale of decibels, so that quiet speech shows too."""
    from math import log10

    cells = []
    for cell in range(width if outline else 0):
        begin, end = cell * len(outline) // width, (cell + 1) * len(outline) // width
        peak = max(outline[begin : max(end, begin + 1)])
        height = 1 - 20 * log10(max(peak, 1e-6)) / FLOOR_DB
        cells.append(LEVELS[max(0, min(8, round(height * 8)))])
    return "".join(cells)


class Waveform(Widget):
    """One line of waveform across whatever width there is."""

    DEFAULT_CSS = "Waveform { height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self._outline: tuple[float, ...] = ()

    def show(self, outline: tuple[float, ...]) -> None:
        self._outline = outline
        self.refresh()

    def render(self) -> Content:
        return Content.styled(waveform(self._outline, self.size.width), FILL_QUIET)


class ClipPane(Vertical):
    """Shows a clip, or why there is none."""

    BORDER_TITLE = "Clip"

    def __init__(self) -> None:
        super().__init__(id="clip")
        self._summary = ""

    def compose(self) -> ComposeResult:
        yield Static("reading the clip", id="clip-name")
        yield Waveform()
        yield Static(id="clip-level")
        yield Static(id="clip-reference")

    def show(self, view: ClipView) -> None:
        """Show a clip."""
        clip = view.clip
        self.remove_class("-refused")
        levels = f"peak {_db(view.peak_db)}   rms {_db(view.rms_db)}"
        self._summary = f"{figures.seconds(clip.seconds)} · {levels.replace('   ', ' · ')}"
        self._summarise()
        self._update("clip-name", f"{clip.name}   {figures.seconds(clip.seconds)}   16 kHz mono")
        self._update("clip-level", "   ".join((levels, *(f"! {warning}" for warning in clip.warnings))))
        self._update("clip-reference", f"reference   {clip.reference}" if clip.reference else "")
        self.query_one(Waveform).show(view.outline)
        self.query_one("#clip-level").set_class(bool(clip.warnings), "-warning")

    def on_resize(self) -> None:
        self._summarise()

    def _summarise(self) -> None:
        """Where the stylesheet leaves the waveform only, the border says the rest."""
        compact = self._summary and not self.query_one("#clip-level").display
        self.border_subtitle = self._summary if compact else None

    def refuse(self, reason: str) -> None:
        """Say why there is no clip."""
        self.add_class("-refused")
        self._update("clip-name", f"✗ {reason}")

    def _update(self, name: str, text: str) -> None:
        self.query_one(f"#{name}", Static).update(Content(text))


def _db(value: float) -> str:
    return "−∞ dB" if value == float("-inf") else f"{value:.1f} dB".replace("-", "−")
