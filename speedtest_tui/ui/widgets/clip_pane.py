"""The clip: its name, waveform, level and warnings; or the microphone, before there is one."""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from speedtest_tui.core import format as figures
from speedtest_tui.ui.widgets.bar_layout import (
    FILL_BEST,
    FILL_QUIET,
    LEVELS,
    STYLE_FAILED,
    STYLE_NEEDS_YOU,
    STYLE_NOW,
    bar,
)

if TYPE_CHECKING:
    from speedtest_tui.core.audio.player import PlayerState
    from speedtest_tui.core.audio.recorder import RecorderState
    from speedtest_tui.core.audio.view import ClipView


FLOOR_DB = -48.0
"""What an empty cell stands for; room noise is below it."""

SILENCE_DB = -120.0
"""What `core.audio.level` reports for nothing but zeros."""

METER_CELLS = 24
TOO_LOUD_DB = -1.0
OFF = "No clip yet: r records; the microphone is off. o opens a file, enter races the built-in clip."
NO_CLIP = "No clip yet: r records, o opens a file, enter races the built-in clip."


def waveform(outline: tuple[float, ...], width: int) -> str:
    """The outline, peaks from 0 to 1, in `width` cells on a scale of decibels, so that quiet speech shows too."""
    cells = []
    for cell in range(width if outline else 0):
        begin, end = cell * len(outline) // width, (cell + 1) * len(outline) // width
        peak = max(outline[begin : max(end, begin + 1)])
        height = 1 - 20 * log10(max(peak, 1e-6)) / FLOOR_DB
        cells.append(LEVELS[max(0, min(8, round(height * 8)))])
    return "".join(cells)


class Waveform(Widget):
    """One line of waveform across whatever width there is, or, of a recording that grows, its newest end."""

    DEFAULT_CSS = "Waveform { height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self._outline: tuple[float, ...] = ()
        self._style = FILL_QUIET
        self._scrolls = False

    def show(self, outline: tuple[float, ...], style: str = FILL_QUIET, *, scrolls: bool = False) -> None:
        self._outline, self._style, self._scrolls = outline, style, scrolls
        self.refresh()

    def render(self) -> Content:
        outline, width = self._outline, self.size.width
        if self._scrolls:
            outline = outline[-width:]
            return Content.styled(waveform(outline, len(outline)).rjust(width), self._style)
        return Content.styled(waveform(outline, width), self._style)


class ClipPane(Vertical, can_focus=True):
    """Shows a clip, or the microphone, or why there is neither."""

    BORDER_TITLE = "Clip"
    ALLOW_MAXIMIZE = True

    def __init__(self) -> None:
        super().__init__(id="clip")
        self._summary = ""

    def compose(self) -> ComposeResult:
        yield Static("reading the clip", id="clip-name")
        yield Waveform()
        yield Static(id="clip-level")
        yield Static(id="clip-reference")
        yield Static(id="clip-offer")

    def offer(self, line: str) -> None:
        """Show a line about a recording that can be used, or none where it is empty."""
        if bool(line) != self.has_class("-offers") or line:
            self._update("clip-offer", line)
            self.set_class(bool(line), "-offers")

    def show(self, view: ClipView) -> None:
        """Show a clip."""
        clip = view.clip
        self.remove_class("-refused")
        self.border_title = "Clip"
        levels = f"peak {decibels(view.peak_db)}   rms {decibels(view.rms_db)}"
        self._summary = f"{figures.seconds(clip.seconds)} · {levels.replace('   ', ' · ')}"
        self._summarise()
        self._update("clip-name", f"{clip.name}   {figures.seconds(clip.seconds)}   16 kHz mono")
        self._update("clip-level", "\n".join((levels, *self._trimming(view), *(f"! {w}" for w in clip.warnings))))
        self._update("clip-reference", f"reference   {clip.reference}" if clip.reference else "")
        self.query_one(Waveform).show(view.outline)
        self.query_one("#clip-level").set_class(bool(clip.warnings), "-warning")

    @staticmethod
    def _trimming(view: ClipView) -> tuple[str, ...]:
        if view.trim is None:
            return ()
        silence = figures.seconds(view.trim.removed_s)
        return (f"{silence} of silence trimmed · x undoes it",) if view.full else (f"x trims {silence} of silence",)

    def show_recorder(self, state: RecorderState) -> None:
        """Show the microphone's level, and a recording that grows."""
        if state.how == "failed":
            self._say(f"No microphone: {state.reason}. o opens a file, enter races the built-in clip.")
            return
        recording = state.phase == "recording"
        where = f"{state.device} · {state.rate / 1000:g} kHz" if state.device else "opening the microphone"
        self.remove_class("-refused")
        self.border_title = "Recording" if recording else "Microphone"
        head = (f"● REC {figures.ticking(state.seconds)}", f"bold {STYLE_FAILED}") if recording else ("○ listening", "")
        hint = "   r stops" if recording else "   r records, o opens a file, enter races the built-in clip"
        self.query_one("#clip-name", Static).update(Content.assemble(head, f"   {where}{hint}"))
        fill = FILL_BEST if state.peak_db < TOO_LOUD_DB else STYLE_FAILED
        meter = bar(1 - state.rms_db / FLOOR_DB, METER_CELLS)
        clipped = (f"   ! {state.clipped} samples clipped", STYLE_NEEDS_YOU) if state.clipped else ""
        level = Content.assemble((meter, fill), f" {decibels(state.rms_db)}   peak {decibels(state.peak_db)}", clipped)
        self.query_one("#clip-level", Static).update(level)
        self._update("clip-reference", "")
        self.query_one(Waveform).show(state.trace, STYLE_NOW if recording else FILL_QUIET, scrolls=True)
        name = f"REC {figures.ticking(state.seconds)}" if recording else "listening"
        self._summary = f"{name} · {decibels(state.rms_db)}"
        self._summarise()

    def show_player(self, state: PlayerState) -> None:
        """Say how far a clip has been played."""
        playing = f"► playing {figures.ticking(state.seconds)} of {figures.seconds(state.total_s)}"
        self.border_subtitle = self._summary_line() if state.over else playing

    def clear(self, *, off: bool = False) -> None:
        """Show that there is no clip, what to press, and whether the microphone stays off until then."""
        self._say(OFF if off else NO_CLIP)

    def _say(self, sentence: str) -> None:
        self.remove_class("-refused")
        self.border_title = "Clip"
        self._summary = "no clip: r records, o opens"
        self._update("clip-name", sentence)
        self._update("clip-level", "")
        self._update("clip-reference", "")
        self.query_one(Waveform).show(())
        self._summarise()

    def refuse(self, reason: str) -> None:
        """Say why there is no clip."""
        self.add_class("-refused")
        self._update("clip-name", f"✗ {reason}")

    def on_resize(self) -> None:
        self._summarise()

    def _summarise(self) -> None:
        self.border_subtitle = self._summary_line()

    def _summary_line(self) -> str | None:
        """Where the stylesheet leaves the waveform only, the border says the rest."""
        return self._summary if self._summary and not self.query_one("#clip-level").display else None

    def _update(self, name: str, text: str) -> None:
        self.query_one(f"#{name}", Static).update(Content(text))


def decibels(value: float) -> str:
    """A level with its unit and a proper minus, one decimal; digital silence has no level."""
    return "−∞ dB" if value <= SILENCE_DB else f"{value:.1f} dB".replace("-", "−")
