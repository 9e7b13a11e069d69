"""Choosing a file by typing: completion, the folder's entries, recent files. Folders are read in threads."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Paste
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from speedtest_tui.core import format as figures
from speedtest_tui.core.darwin import AWAY
from speedtest_tui.core.format import one_line
from speedtest_tui.core.locations import short
from speedtest_tui.ui.screens.confirm import Once
from speedtest_tui.ui.widgets.bar_layout import STYLE_NEEDS_YOU, STYLE_NOW
from speedtest_tui.ui.widgets.line_text import fit, fit_path, spread
from speedtest_tui.ui.widgets.pick_list import MOVES, PickList, key_hint
from speedtest_tui.ui.workers.folder import MEDIA, Entry, Listing, complete, locate, matching, measured, read

SHOWN = 300
"""Entries in the list; more are counted, and typing finds them."""

WIDE = 44
"""Cells from which on sizes and dates are shown beside the names."""


@dataclass
class FolderRead(Message):
    """A folder has been listed."""

    listing: Listing


@dataclass
class RecentRead(Message):
    """The facts of recent files have been read: one without a size is gone."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Offer:
    """A line of the list.

    path: what it stands for; None for a heading
    text: what the input says once this folder is entered; empty for a file
    whole: cut the label at its front if need be, because its end says more
    """

    label: str
    about: str = ""
    path: Path | None = None
    text: str = ""
    whole: bool = False
    usable: bool = True

    def prompt(self, width: int) -> Content:
        label = one_line(self.label)
        if self.path is None:
            return Content.styled(fit(label, width), f"bold {STYLE_NOW}")
        room = width - len(self.about) - 2
        line = spread(fit_path(label, room) if self.whole else label, self.about, width)
        return Content.styled(line, "" if self.usable else STYLE_NEEDS_YOU)


class PathInput(Input):
    """Takes a file that was dropped on the terminal, which arrives quoted or as a URL."""

    def on_paste(self, event: Paste) -> None:
        if (path := dropped(event.text)) is not None:
            event.prevent_default()
            event.stop()
            self.value = path
            self.cursor_position = len(path)


def dropped(text: str) -> str | None:
    """The path in text that a terminal pasted for a dropped file; None for other text."""
    text = text.strip()
    if text.startswith("file://"):
        return unquote(urlsplit(text).path)
    if text[:1] in {"'", '"'} or (text.startswith("/") and "\\" in text):
        try:
            words = shlex.split(text)
        except ValueError:
            return None
        return words[0] if len(words) == 1 else None
    return None


class OpenFileScreen(Once, ModalScreen[Path | None]):
    """Asks for a file. Returns its path, or None.

    title: what the file is for; suffixes: of files that are shown without being named; kind: what these hold
    """

    CSS_PATH = "open_file.tcss"
    AUTO_FOCUS = "PathInput"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="open-entry", priority=True, tooltip="Open the file or the folder"),
        Binding("tab", "complete", "complete", id="open-complete", tooltip="Complete the path"),
        Binding("escape", "cancel", "back", id="open-cancel", tooltip="Back without opening a file"),
        *MOVES,
    ]

    def __init__(
        self,
        recent: tuple[Path, ...],
        start: Path,
        *,
        title: str = "Open",
        suffixes: frozenset[str] = MEDIA,
        kind: str = "audio or video",
    ) -> None:
        super().__init__()
        self._heading = title
        self._suffixes = suffixes
        self._kind = kind
        self._recent = recent
        self._start = start.expanduser().absolute()
        self._facts: dict[str, Entry] = {}
        self._listing = Listing(Path())
        self._awaited: Path | None = None
        self._offers: list[Offer] = []
        self._found: list[Entry] = []
        self._spelled: dict[str, Path] = {}
        self._open_when_read = False

    def compose(self) -> ComposeResult:
        with Vertical(id="open-file"):
            yield PathInput(compact=True, id="open-path")
            yield Static(id="open-note")
            yield PickList(id="open-entries")

    def on_mount(self) -> None:
        hint = key_hint(self, "open-entry", "open-complete", "pick-up", "open-cancel")
        self.query_one("#open-file").border_subtitle = hint
        if self._recent:
            recent = self._recent
            self._in_thread(lambda: RecentRead(tuple(measured(Entry(str(path), "", False), path) for path in recent)))
        self._follow()

    # What is typed decides which folder is shown and which of its entries.

    @property
    def _text(self) -> str:
        return self.query_one(PathInput).value

    def _locate(self) -> tuple[Path, str]:
        head, slash, partial = self._text.rpartition("/")
        if folder := self._spelled.get(head + slash):
            return folder, partial
        return locate(self._text, self._start)

    @on(Input.Changed)
    def _follow(self) -> None:
        folder = self._locate()[0]
        if folder != self._awaited:
            self._awaited = folder
            # One thread a folder: one that hangs on a dead network drive holds up no other.
            self._in_thread(lambda: FolderRead(read(folder, self._suffixes)))
        self._show()

    def _in_thread(self, work: Callable[[], Message]) -> None:
        threading.Thread(target=lambda: self.post_message(work()), name="folder", daemon=True).start()

    @on(FolderRead)
    def _folder_read(self, message: FolderRead) -> None:
        if message.listing.folder == self._awaited:
            self._listing = message.listing
            self._show()
            if self._open_when_read:
                self.action_open()

    @on(RecentRead)
    def _recent_read(self, message: RecentRead) -> None:
        self._facts = {entry.name: entry for entry in message.entries}
        self._show(keep=True)

    @on(PickList.WidthChanged)
    def _width_changed(self) -> None:
        self._show(keep=True)

    def _show(self, keep: bool = False) -> None:
        """Fill the list; keep: leave the highlight where it is."""
        entries = self.query_one(PickList)
        folder, partial = self._locate()
        ready = self._listing.folder == folder
        self._found = matching(self._listing, partial) if ready else []
        self._offers = list(self._recent_offers(folder)) if not self._text else []
        if not partial and folder != folder.parent:
            self._offers.append(Offer("../", path=folder.parent, text=short(folder.parent).rstrip("/") + "/"))
        self._offers += self._entry_offers(folder, self._text[: len(self._text) - len(partial)])
        width = entries.text_width
        wide = width >= WIDE
        before = entries.highlighted
        with self.app.batch_update():
            entries.set_options(
                Option((offer if wide else replace(offer, about="")).prompt(width), disabled=not offer.usable)
                for offer in self._offers
            )
            # The way up is the last thing that somebody wants who has just come down.
            usable = [place for place, offer in enumerate(self._offers) if offer.usable]
            first = next((place for place in usable if self._offers[place].label != "../"), next(iter(usable), None))
            entries.highlighted = before if keep and before is not None else first
            note = self.query_one("#open-note", Static)
            note.update(Content(fit(self._note(partial, ready), width + 1)))
            note.set_class(ready and bool(self._listing.problem), "-problem")
            title = f"{self._heading} · {fit_path(one_line(short(folder)), width - 4 - len(self._heading))}"
            self.query_one("#open-file").border_title = Content(title).markup

    def _recent_offers(self, folder: Path) -> Iterator[Offer]:
        if self._recent:
            yield Offer("Recent", usable=False)
        for path in self._recent:
            facts = self._facts.get(str(path))
            gone = facts is not None and facts.size is None
            yield Offer(short(path), "✗ gone" if gone else about(facts), path, whole=True, usable=not gone)
        if self._recent:
            yield Offer(f"In {short(folder)}", usable=False)

    def _entry_offers(self, folder: Path, head: str) -> Iterator[Offer]:
        """Offers for what was found; `head` is what the input says up to the part that they complete."""
        head += "/" if head and not head.endswith("/") else ""
        for entry in self._found[:SHOWN]:
            slash = "/" if entry.is_folder else ""
            yield Offer(
                entry.name + slash, about(entry), folder / entry.name, head + entry.name + slash if slash else ""
            )

    def _note(self, partial: str, ready: bool) -> str:
        """One line about the folder: what is wrong with it, or how much there is."""
        if not ready:
            return "reading the folder …"
        if self._listing.problem:
            return f"✗ {one_line(self._listing.problem)}"
        if not self._found:
            return f"nothing here matches “{one_line(partial)}”" if partial else f"no {self._kind} here"
        if len(self._found) > SHOWN:
            return f"{len(self._found):,} entries, {SHOWN} shown: type to find the others"
        folders = sum(entry.is_folder for entry in self._found)
        counts = ((folders, "folder"), (len(self._found) - folders, "file"))
        return ", ".join(f"{count} {thing}{'s' * (count > 1)}" for count, thing in counts if count)

    # What the keys do.

    def action_move(self, how: str) -> None:
        """Move through the list."""
        self.query_one(PickList).move(how)

    def action_complete(self) -> None:
        """Lengthen what is typed."""
        head, slash, partial = self._text.rpartition("/")
        if self._text == "~" or partial in {".", ".."}:
            self._type(self._text + "/")
        elif self._found and partial:
            self._type(head + slash + complete(self._found, partial))

    def action_open(self) -> None:
        """Open what is highlighted: enter a folder, return a file."""
        if self._listing.folder != self._locate()[0]:
            self._open_when_read = True  # typed or pasted faster than the folder could be read
            return
        self._open_when_read = False
        place = self.query_one(PickList).highlighted
        offer = self._offers[place] if place is not None else None
        if offer is None or offer.path is None or not offer.usable:
            return
        if offer.text:
            if one_line(offer.text) != offer.text:
                self._spelled[one_line(offer.text)] = offer.path
            self._type(one_line(offer.text))
        else:
            self.dismiss(offer.path)

    @on(OptionList.OptionSelected)
    def _clicked(self) -> None:
        self.action_open()

    def action_cancel(self) -> None:
        """Return nothing."""
        self.dismiss(None)

    def _type(self, text: str) -> None:
        field = self.query_one(PathInput)
        field.value = text
        field.cursor_position = len(text)


def about(entry: Entry | None) -> str:
    """Size and time of the last change, in columns; empty where they are not known yet, or for a folder."""
    if entry is not None and entry.away:
        return AWAY
    if entry is None or entry.size is None or entry.changed is None:
        return ""
    size = f"{entry.size / 1e3:.0f} kB" if entry.size < 1e6 else figures.megabytes(entry.size / 1e6)
    return f"{size:>7}  {time.strftime('%Y-%m-%d %H:%M', time.localtime(entry.changed))}"
