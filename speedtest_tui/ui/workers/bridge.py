"""Between the screen and the engine: starts background work, and turns what it reports into messages.

Everything heavy is imported here, in threads, after the first frame. Nothing here touches a widget.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from speedtest_tui.ui.workers.caretaker import Caretaker
from speedtest_tui.ui.workers.messages import (
    BackendsKnown,
    ClipReady,
    ClipRefused,
    Copied,
    MachineKnown,
    ModelsKnown,
    RaceChanged,
    RaceEnded,
    TaskFailed,
)
from speedtest_tui.ui.workers.microphone import Microphone, view_of

if TYPE_CHECKING:
    from backends.base import BackendEntry
    from speedtest_tui.core.accuracy.words import Word
    from speedtest_tui.core.audio.clip import Clip
    from speedtest_tui.core.jobs.race import Kept
    from speedtest_tui.core.models.sizes import Option
    from speedtest_tui.core.race.plan import Plan
    from speedtest_tui.core.race.row import RaceSnapshot
    from speedtest_tui.core.race.supervisor import Race


QUIT_S = 2.0
"""How long leaving the program waits for a cancelled race to be kept; its children are ended well before."""


def marks_of(snapshot: RaceSnapshot) -> dict[str, tuple[Word, ...]]:
    """The texts of a race, each with the words marked that the majority of the valid ones has not."""
    from speedtest_tui.core.accuracy.agreement import mark

    texts = {row.backend: row.transcription.text for row in snapshot.rows if row.transcription}
    return mark(texts, [row.backend for row in snapshot.rows if row.status == "ok"])


def headline_since(kept: Kept) -> str:
    """How a kept race compares with the previous one on the same clip or plan, in one sentence."""
    from speedtest_tui.core.sessions import store
    from speedtest_tui.core.sessions.compare import compare, previous_of

    session = store.read(kept.folder) if kept.folder else None
    if not isinstance(session, store.Session) or session.document.state != "done":
        return ""
    previous = previous_of(session, store.sessions())
    if previous is None:
        return ""
    began = datetime.datetime.fromisoformat(previous.document.started).astimezone()
    return f"since {began:%Y-%m-%d %H:%M}: {compare(previous.document, session.document).headline}"


class Bridge:
    """Background work for one screen. `post` must be safe to call from any thread, as `post_message` is."""

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post
        self.microphone = Microphone(post)
        self.caretaker = Caretaker(post)
        self._race: Race | None = None
        self._starting: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def racing(self) -> bool:
        """Whether a race is under way or about to be."""
        threads = (self._starting, self._race)
        return any(thread is not None and thread.is_alive() for thread in threads)

    def look_around(self) -> None:
        """Find out about the machine and about further backends."""
        self._in_background("machine", self._look_around)

    def load(self, audio: Path | None, reference: str | None = None) -> None:
        """Read a clip, the demo where `audio` is None."""
        self._in_background("clip", lambda: self._load(audio, reference))

    def look_up(self, entries: Sequence[BackendEntry], size: str, options: Sequence[Option] = ()) -> None:
        """Find out where each backend's model of a size lies."""
        self._in_background("models", lambda: self._look_up(entries, size, options))

    def copy(self, text: str) -> None:
        """Give text to the system's clipboard, beside what the terminal may do by itself."""
        self._in_background("clipboard", lambda: self._copy(text))

    def start(self, plan: Plan, clip: Clip) -> None:
        """Start a race; does nothing while one is under way."""
        if not self.racing:
            self._starting = self._in_background("start", lambda: self._start(plan, clip))

    def cancel(self) -> None:
        """Cancel the race, if there is one; returns at once."""
        if self._race is not None:
            self._race.cancel()

    def close(self) -> None:
        """Cancel what runs and wait until it has been kept, QUIT_S at most. Blocks: call it when the screen is gone."""
        self._closed.set()
        self.microphone.close()
        self.caretaker.close()
        if self._starting is not None:
            self._starting.join(QUIT_S)
        self.cancel()
        if self._race is not None:
            self._race.join(QUIT_S)

    def _in_background(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except Exception as error:
                self._post(TaskFailed(f"{name}: {type(error).__name__}: {error}"))

        # A plain daemon thread: Textual's thread workers would keep the process alive until they return.
        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def _look_around(self) -> None:
        from backends.registry import entries
        from speedtest_tui.core import host

        self._post(MachineKnown(host.describe().sentence()))
        self._post(BackendsKnown(entries()))

    def _load(self, audio: Path | None, reference: str | None) -> None:
        from speedtest_tui.core.audio.decode import demo_clip, load_clip
        from speedtest_tui.core.errors import UserError

        try:
            clip = demo_clip() if audio is None else load_clip(audio, reference=reference)
        except UserError as error:
            self._post(ClipRefused(str(error)))
            return
        self._post(ClipReady(view_of(clip)))

    def _look_up(self, entries: Sequence[BackendEntry], size: str, options: Sequence[Option]) -> None:
        from backends.registry import default_backends
        from speedtest_tui.core.models.inspect import inspect_models
        from speedtest_tui.core.models.sizes import candidates, converted_models

        asked = candidates(default_backends(entries), size, options)
        self._post(ModelsKnown(size, tuple(inspect_models(asked, self._closed)), converted_models()))

    def _copy(self, text: str) -> None:
        from speedtest_tui.core.clipboard import copy

        self._post(Copied(copy(text)))

    def _start(self, plan: Plan, clip: Clip) -> None:
        from speedtest_tui.core.jobs.race import Keeper
        from speedtest_tui.core.race.supervisor import Race

        keep = Keeper(plan, clip)

        def changed(snapshot: RaceSnapshot) -> None:
            if not snapshot.ended:
                self._post(RaceChanged(snapshot))

        def ended(snapshot: RaceSnapshot) -> None:
            kept = keep(snapshot)
            self._post(RaceEnded(snapshot, kept, marks_of(snapshot), headline_since(kept)))

        if self._closed.is_set():
            return
        race = Race(plan, clip, changed, ended)
        race.start()
        self._race = race
