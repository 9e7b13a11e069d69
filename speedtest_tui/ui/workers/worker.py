"""Between the screens and the core: starts races, jobs and what else takes time in threads, and posts what they report.

Everything heavy is imported here, in those threads, after the first frame. Nothing here touches a widget.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.message import Message

from backends.base import Advice
from speedtest_tui.core.errors import UserError
from speedtest_tui.ui.workers.messages import (
    BackendsKnown,
    CachesInspected,
    CandidatesRead,
    CheckpointRead,
    ClipReady,
    ClipRefused,
    Copied,
    JobChanged,
    MachineKnown,
    ModelsKnown,
    OffersKnown,
    RaceChanged,
    RaceEnded,
    TargetRead,
    TaskFailed,
)
from speedtest_tui.ui.workers.microphone import Microphone

if TYPE_CHECKING:
    from backends.base import BackendEntry
    from speedtest_tui.core.audio.clip import Clip
    from speedtest_tui.core.jobs.job import Job, JobView
    from speedtest_tui.core.jobs.race import Kept
    from speedtest_tui.core.models.sizes import Candidate, Option
    from speedtest_tui.core.race.plan import Plan
    from speedtest_tui.core.race.row import RaceSnapshot
    from speedtest_tui.core.race.supervisor import Race


Post = Callable[[Message], object]
"""Must be safe to call from any thread, as `post_message` is."""

QUIT_S = 2.0
"""How long leaving the program waits for what was cancelled to be kept; child processes are ended well before."""

DEFAULT_SWITCH_S, SHORT_SWITCH_S = 0.005, 0.0001


class Worker:
    """Background work for the dashboard, which gets every message; other screens attach for those of jobs and caches.

    One race and one job at a time: a second one is not started.

    options: what single backends are set to, whenever a model of theirs is loaded
    """

    def __init__(self, post: Post) -> None:
        self._post = post
        self._listeners: list[Post] = [post]
        self.microphone = Microphone(post)
        self.options: Sequence[Option] = ()
        self._race: Race | None = None
        self._starting: threading.Thread | None = None
        self._job: Job[Any] | None = None
        self._inspecting = threading.Event()
        self._reading = threading.Event()
        self._offering = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._computing = 0

    def attach(self, post: Post) -> None:
        """Post to another screen, too, what jobs and inspections of the caches report."""
        self._listeners.append(post)

    def detach(self, post: Post) -> None:
        """Post to it no more."""
        self._listeners.remove(post)

    def close(self) -> None:
        """Cancel everything and wait until it has been kept, QUIT_S at most each. Call it when the screen is gone."""
        self._closed.set()
        self._listeners = []
        self._inspecting.set()
        self.stop_offering()
        self.stop_reading()
        self.microphone.close()
        self.cancel_job()
        if self._starting is not None:
            self._starting.join(QUIT_S)
        self.cancel()
        for thread in (self._job, self._race):
            if thread is not None:
                thread.join(QUIT_S)

    # The race.

    @property
    def racing(self) -> bool:
        """Whether a race runs or is about to."""
        threads = (self._starting, self._race)
        return any(thread is not None and thread.is_alive() for thread in threads)

    def start(self, plan: Plan, clip: Clip) -> None:
        """Start a race; does nothing while one runs."""
        if not self.racing:
            self._starting = self._in_background("start", lambda: self._start(plan, clip))

    def cancel(self) -> None:
        """Cancel the race, if there is one; returns at once."""
        if self._race is not None:
            self._race.cancel()

    def _start(self, plan: Plan, clip: Clip) -> None:
        from speedtest_tui.core.jobs.race import Keeper
        from speedtest_tui.core.race.supervisor import Race

        keep = Keeper(plan, clip)

        def changed(snapshot: RaceSnapshot) -> None:
            if not snapshot.ended:
                self._post(RaceChanged(snapshot))

        def ended(snapshot: RaceSnapshot) -> None:
            self._tell_end(snapshot, keep(snapshot))

        if self._closed.is_set():
            return
        race = Race(plan, clip, changed, ended, judging=self._responsive)
        race.start()
        self._race = race

    def _tell_end(self, snapshot: RaceSnapshot, kept: Kept) -> None:
        from speedtest_tui.core.jobs.race import headline_since, marks_of

        marks, since = {}, ""
        with self._responsive(), contextlib.suppress(Exception):  # what is said beside a result never costs the result
            marks = marks_of(kept.document)
            since = headline_since(kept)
        self._post(RaceEnded(snapshot, kept, marks, since))

    def judge(self, kept: Kept, snapshot: RaceSnapshot, clip: Clip) -> None:
        """Judge a race that has ended again, because its clip has another reference."""
        self._in_background("judge", lambda: self._judge(kept, snapshot, clip))

    def _judge(self, kept: Kept, snapshot: RaceSnapshot, clip: Clip) -> None:
        from speedtest_tui.core.jobs.race import judged_again

        with self._responsive():
            found = judged_again(kept, snapshot, clip)
        if not self.racing:
            self._tell_end(*found)

    # Jobs.

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        return self._job is not None and self._job.is_alive() and not self._job.view.over

    @property
    def view(self) -> JobView | None:
        """The newest state of the newest job."""
        return self._job.view if self._job is not None else None

    def run(self, job: Job[Any]) -> None:
        """Start a job; does nothing while one runs."""
        if not self.busy:
            self._job = job
            job.listener = self._job_changed
            job.start()

    def cancel_job(self) -> None:
        """Cancel the job, if there is one; returns at once. What was downloaded stays."""
        if self._job is not None:
            self._job.cancel()

    def _job_changed(self, view: JobView) -> None:
        self._tell(lambda: JobChanged(view))
        error = self._job.error if self._job is not None and view.over else None
        if error is not None and not isinstance(error, UserError):
            self._post(TaskFailed(f"{view.title}: {type(error).__name__}: {error}"))

    # The caches, the models and the machine.

    def inspect(self, entries: Sequence[BackendEntry]) -> None:
        """Read all caches; one that still runs is cancelled."""
        self._inspecting.set()
        self._inspecting = cancelled = threading.Event()
        self._in_background("caches", lambda: self._inspect(entries, cancelled))

    def _inspect(self, entries: Sequence[BackendEntry], cancelled: threading.Event) -> None:
        from backends.registry import default_backends
        from speedtest_tui.core.jobs.overview import inspect_caches
        from speedtest_tui.core.repair import trash

        with self._responsive():
            held = sum(entry.bytes for entry in trash.entries())
            for overview in inspect_caches(default_backends(entries), cancelled, options=self.options):
                if not cancelled.is_set():
                    self._tell(lambda overview=overview: CachesInspected(overview, held))  # type: ignore[misc]

    @contextmanager
    def _responsive(self) -> Iterator[None]:
        """Keep the screen responsive while a thread computes for long: short turns, and no garbage collection.

        Such a thread holds the interpreter for 5 ms at a time, and a key takes several turns until it is painted. A
        collection visits every object and holds it all the while: 160 ms with 20,000 files in the caches. What is
        made here lives on and is no garbage, so later collections leave it out as well.
        """
        with self._lock:
            self._computing += 1
            gc.disable()
            sys.setswitchinterval(SHORT_SWITCH_S)
        try:
            yield
        finally:
            with self._lock:
                self._computing -= 1
                if not self._computing:
                    sys.setswitchinterval(DEFAULT_SWITCH_S)
                    gc.freeze()
                    gc.enable()

    def look_up(self, size: str, asked: Sequence[Candidate]) -> None:
        """Find out how the models of candidates stand, all of a backend's one after another; `size` names the plan."""
        self._in_background("models", lambda: self._look_up(size, asked))

    def _look_up(self, size: str, asked: Sequence[Candidate]) -> None:
        from speedtest_tui.core.models.inspect import inspect_models
        from speedtest_tui.core.models.own import converted_models

        self._post(ModelsKnown(size, tuple(inspect_models(asked, self._closed)), converted_models()))

    def offer(
        self, entries: Sequence[BackendEntry], chosen: Sequence[Candidate], clip_s: float | None, post: Post
    ) -> None:
        """Find out what could race; what an earlier call still looks for is not needed any more. `post` gets it."""
        self.stop_offering()
        self._offering = cancelled = threading.Event()

        def offer() -> None:
            from speedtest_tui.core.jobs.offers import offers

            with self._responsive():
                for found in offers(entries, chosen, self.options, clip_s, cancelled):
                    if not cancelled.is_set():
                        post(OffersKnown(found))

        self._in_background("offers", offer)

    def stop_offering(self) -> None:
        """Nobody needs to know any more what could race."""
        self._offering.set()

    def read_candidates(
        self, names: Sequence[str], entries: Sequence[BackendEntry], post: Post, shortlist: str = ""
    ) -> None:
        """What names of candidates mean, and how these stand. `post` gets a CandidatesRead."""

        def read() -> None:
            from speedtest_tui.core.jobs.offers import read

            found, problems = read(names, entries, self.options, self._closed)
            post(CandidatesRead(found, problems, shortlist))

        self._in_background("candidates", read)

    def look_around(self) -> None:
        """Find out about the machine and about further backends."""
        self._in_background("machine", self._look_around)

    def _look_around(self) -> None:
        from backends.registry import entries
        from speedtest_tui.core import host

        self._post(MachineKnown(host.describe().sentence()))
        self._post(BackendsKnown(entries()))

    # Clips, checkpoints and the clipboard.

    def load(self, audio: Path | None, reference: str | None = None) -> None:
        """Read a clip, the demo where `audio` is None."""
        self._in_background("clip", lambda: self._load(audio, reference))

    def _load(self, audio: Path | None, reference: str | None) -> None:
        from speedtest_tui.core.audio.decode import demo_clip, load_clip
        from speedtest_tui.core.audio.view import view_of

        try:
            clip = demo_clip() if audio is None else load_clip(audio, reference=reference)
        except UserError as error:
            self._post(ClipRefused(str(error)))
            return
        self._post(ClipReady(view_of(clip)))

    def copy(self, text: str) -> None:
        """Give text to the system's clipboard, beside what the terminal may do by itself."""
        self._in_background("clipboard", lambda: self._copy(text))

    def _copy(self, text: str) -> None:
        from speedtest_tui.core.clipboard import copy

        self._post(Copied(copy(text)))

    def read_checkpoint(self, path: Path, post: Post) -> None:
        """Read what a checkpoint is; one that is still being read is cancelled. `post` gets a CheckpointRead."""
        self.stop_reading()
        self._reading = cancelled = threading.Event()
        self._in_background("checkpoint", lambda: self._read_checkpoint(path, cancelled, post))

    def _read_checkpoint(self, path: Path, cancelled: threading.Event, post: Post) -> None:
        from speedtest_tui.core.convert import preview

        try:
            found = preview.look(path, cancelled)
        except UserError as error:
            post(CheckpointRead(path, advice=error.advice))
        except OSError as error:
            post(CheckpointRead(path, advice=Advice(f"{path.name}: {error.strerror or error}", "try again")))
        else:
            if found is not None:
                post(CheckpointRead(path, found))

    def stop_reading(self) -> None:
        """Stop reading a checkpoint."""
        self._reading.set()

    def suggest_folder(self, source: Path, form: str, post: Post) -> None:
        """Find a free folder for a checkpoint in a number format. `post` gets a TargetRead."""

        def suggest() -> None:
            from speedtest_tui.core.convert import convert as target

            post(TargetRead(target.look_at(target.suggested(source, form))))

        self._in_background("folder", suggest)

    def read_folder(self, text: str, post: Post) -> None:
        """See whether the folder that a person typed can be filled. `post` gets a TargetRead."""

        def read() -> None:
            from speedtest_tui.core.convert import convert as target

            post(TargetRead(target.look_at(target.named(text)), text))

        self._in_background("folder", read)

    # How it is done.

    def _tell(self, message: Callable[[], Message]) -> None:
        for post in tuple(self._listeners):
            post(message())  # a message object belongs to one queue: each listener gets its own

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
