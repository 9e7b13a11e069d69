"""Race states made by hand, and the stand-ins that put them on a screen without a clock or an engine."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from textual.message import Message

from backends.base import Advice, BackendEntry, Loaded, Location, ModelSpec, Transcription
from backends.registry import BUILT_IN, create, default_backends
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.audio.recorder import RecorderState
from speedtest_tui.core.audio.view import ClipView
from speedtest_tui.core.host import Host
from speedtest_tui.core.jobs.job import Job, JobView
from speedtest_tui.core.jobs.offers import Offer, Offers
from speedtest_tui.core.jobs.overview import CacheOverview
from speedtest_tui.core.jobs.race import Kept, marks_of
from speedtest_tui.core.models.sizes import Candidate, candidates, parse
from speedtest_tui.core.models.status import CacheName, CacheState, ModelReport, Verification
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.race.row import RaceSnapshot, RaceState, Row, RowError
from speedtest_tui.core.race.verdict import decide, judge, verdict
from speedtest_tui.core.sessions.document import Document, build
from speedtest_tui.ui.workers.messages import (
    BackendsKnown,
    CachesInspected,
    CandidatesRead,
    ClipReady,
    Copied,
    JobChanged,
    MachineKnown,
    ModelsKnown,
    OffersKnown,
    RaceChanged,
    RaceEnded,
)
from speedtest_tui.ui.workers.settings import Request

NOW = 1000.0
SINCE = "since 19 Nov 20:15: mlx-whisper 1.2× faster, 2 unchanged"
MACHINE = "Apple M4 Pro · 14 cores · 24 GB · macOS 26.1"
TEXT = "which is the fastest transcription on my mac"
PLAN = Plan(candidates(default_backends(BUILT_IN)), runs=3, pulse=False)
NOT_HERE = CacheState("missing")
NOWHERE = CacheState("not-applicable")
WHOLE = Location(Path("/models/x"), "0123", "hf", 139_000_000)


def model_report(
    backend: str,
    size: str,
    *,
    hf: CacheState = NOWHERE,
    local: CacheState = NOT_HERE,
    whisper: CacheState = NOWHERE,
    verified: Verification | None = None,
) -> ModelReport:
    """How a backend's model of the catalogue stands, said by hand."""
    entry = next(entry for entry in BUILT_IN if entry.name == backend)
    said: tuple[tuple[CacheName, CacheState], ...] = (("hf", hf), ("local", local), ("whisper", whisper))
    states = tuple((cache, replace(s, path=WHOLE.path) if s.state == "complete" else s) for cache, s in said)
    whole = any(state.state == "complete" for _, state in states)
    spec = create(entry.reference).model(size)
    usable = whole or (spec is not None and spec.kind == "bundled")
    return ModelReport(backend, size, spec, states, (size,), WHOLE if usable else None, verified)


LOADED = Verification("ok", "loads and transcribes", "/models/x", 0.42, "f", "2026-11-20T12:00:00+00:00")
NANO = (
    model_report("mlx-whisper", "nano", local=CacheState("complete", 11_200_000, 11_200_000), verified=LOADED),
    model_report("parakeet-mlx", "nano"),
    model_report("whisper-mps", "nano", local=CacheState("complete", 12_100_000, 12_100_000)),
    model_report("transformers", "nano", local=CacheState("damaged", 13_200_000, 13_200_000)),
    model_report("pocketsphinx", "nano", local=NOWHERE, verified=LOADED),
)
SMALL = (
    model_report("mlx-whisper", "small", hf=NOT_HERE, local=CacheState("complete", 139_000_000), verified=LOADED),
    model_report("parakeet-mlx", "small", hf=CacheState("complete", 1_240_000_000), verified=LOADED),
    model_report("whisper-mps", "small", local=CacheState("partial", 178_000_000, 483_000_000)),
    model_report("transformers", "small", hf=CacheState("complete", 967_000_000), verified=replace(LOADED, stale=True)),
    model_report("pocketsphinx", "small", local=NOWHERE),
)
MODELS = {"nano": NANO, "small": SMALL}


def here(*names: str) -> Offers:
    """Offers of models that are on this machine, and of one that is not."""
    found = []
    for name in (*names, "whisper-mps:base"):
        one = parse(name, BUILT_IN)
        report = model_report(one.backend, one.size, hf=CacheState("complete" if name in names else "missing", 10**8))
        found.append(Offer(one, report, one.size))
    return Offers(tuple(found), done=True)


def clip_view(**facts: Any) -> ClipView:
    """A four-second clip with a rising and falling outline."""
    samples = np.zeros(64_000, np.float32)
    outline = tuple(abs(np.sin(i / 7)) * 0.7 for i in range(240))
    return ClipView(Clip(samples, "interview.m4a", reference=TEXT, **facts), outline, -3.1, -17.4)


def loaded(source: str) -> Loaded:
    return Loaded("cpu", "float16", 16.0, 5_594_880, source, "nano-0", ())


def row(backend: str, **facts: Any) -> Row:
    return replace(Row(backend, "nano", since=NOW - 1.3), **facts)


def ran(backend: str, seconds: tuple[float, ...], **facts: Any) -> Row:
    """A row with these runs behind it."""
    return row(
        backend,
        spec=ModelSpec("embedded", "nano/mlx"),
        loaded=loaded("nano/mlx"),
        import_s=1.52,
        load_s=0.064,
        first_s=seconds[0] * 1.6,
        warmups_done=1,
        runs_s=seconds,
        peak_rss=facts.pop("peak_rss", 298_811_392),
        transcription=Transcription(facts.pop("text", TEXT)),
        phase=facts.pop("phase", "resting"),
        **facts,
    )


MISSING = row(
    "parakeet-mlx",
    phase="ended",
    status="missing-model",
    error=RowError("missing-model", Advice("mlx-community/parakeet-tdt-0.6b-v2 is not on this machine", "fetch it")),
)
CRASHED = row(
    "whisper-mps",
    phase="ended",
    status="failed",
    error=RowError("crash", Advice("its process crashed (segmentation fault, SIGSEGV) while it was loading")),
)


def running() -> RaceSnapshot:
    """Round two: one at work, the others waiting."""
    rows = (
        ran("mlx-whisper", (0.401,), phase="running", since=NOW - 0.31),
        MISSING,
        CRASHED,
        ran("transformers", (0.533, 0.541)),
        ran("pocketsphinx", (0.81, 0.80)),
    )
    return RaceSnapshot(rows, "racing")


def loading() -> RaceSnapshot:
    rows = (
        row("mlx-whisper", phase="loaded", import_s=1.5, load_s=0.064, peak_rss=205_000_000),
        MISSING,
        row("whisper-mps", phase="importing"),
        row("transformers"),
        row("pocketsphinx"),
    )
    return RaceSnapshot(rows, "racing")


def finished() -> RaceSnapshot:
    """Judged and ranked by the engine's own code."""
    rows = [
        ran("mlx-whisper", (0.401, 0.398, 0.407), phase="ended"),
        MISSING,
        CRASHED,
        ran("transformers", (0.533, 0.541, 0.512), phase="ended", text=TEXT.replace(" my ", " the ")),
        ran("pocketsphinx", (0.81, 0.80, 0.82), phase="ended", warnings=("its text differed between runs",)),
    ]
    judged = [judge(r, clip_view().clip, "en") if r.runs_s else r for r in rows]
    ranked, found = decide(judged)
    return RaceSnapshot(ranked, "done", verdict=found)


def many(state: RaceState = "done", apart: float = 1.0) -> RaceSnapshot:
    """A race of many: two that failed, one of them before its first run, and one that was cancelled after some."""
    names = [
        f"{backend} {size}"
        for size in ("large-v3-turbo", "small")
        for backend in ("mlx-whisper", "transformers", "whisper-mps")
    ]
    names += [f"canary-mlx nano?beam={number}" for number in range(2, 9)]
    rows = [
        ran(
            name,
            (0.4 + i * apart, 0.41 + i * apart, 0.39 + i * apart),
            phase="ended",
            label=name,
            candidate=f"{name}!",
            peak_rss=(99 - i) * 10**7,
        )
        for i, name in enumerate(names[:10])
    ]
    failed = {
        "phase": "ended",
        "status": "failed",
        "error": RowError("memory", Advice("it ran out of memory", "use a smaller model")),
    }
    rows += [replace(rows[0], label="crashed late", candidate="late", runs_s=(0.5,), **failed)]
    rows += [row("parakeet-mlx", label="crashed at once", candidate="once", **failed)]
    ranked, found = decide([judge(row, clip_view().clip, "en") if row.runs_s else row for row in rows])
    return RaceSnapshot(ranked, state, verdict=found)


def cancelled() -> RaceSnapshot:
    stopped = RowError("cancelled", Advice("after 1 of 3 runs"))
    rows = tuple(
        r if r.status else replace(r, phase="ended", status="cancelled", error=stopped) for r in running().rows
    )
    return RaceSnapshot(rows, "cancelled", verdict=verdict(rows))


def document_of(snapshot: RaceSnapshot) -> Document:
    """The document that the engine would keep of a state."""
    host = Host("Apple M4 Pro", 14, 24 * 2**30, "macOS 26.1", "3.11.9", 0.5)
    started = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.UTC)
    return build(snapshot, PLAN, clip_view().clip, host, started)


def ended(snapshot: RaceSnapshot, folder: Path | None = None) -> RaceEnded:
    """What the engine says when a race is over."""
    return RaceEnded(snapshot, Kept(document_of(snapshot), folder), marks_of(document_of(snapshot)), SINCE)


HEARD = RecorderState(
    "armed", peak_db=-20.0, rms_db=-31.5, device="USB Mic", rate=48_000.0, channels=1, trace=(0.1, 0.5) * 20
)
GROWING = replace(HEARD, phase="recording", seconds=3.42, peak_db=-5.1, clipped=3)
"""What a recorder says before and during a recording."""


class StillMicrophone:
    """Stands for the microphone in the same way."""

    def __init__(self, asked: list[str]) -> None:
        self._asked = asked
        self.recording = self.playing = False

    def __getattr__(self, name: str) -> Callable[..., None]:
        def note(*arguments: object) -> None:
            if name == "record":
                self.recording = True
            elif name == "finish":
                self.recording = False
            what = " ".join(str(argument) for argument in arguments if isinstance(argument, str) and argument)
            self._asked.append(f"microphone {name} {what}".strip())

        return note


class StillWorker:
    """Stands for the worker: notes what it was asked for and does none of it; the test posts the messages.

    read: checkpoints and folders that were to be read; jobs: those that were started
    """

    def __init__(self, post: Callable[[Message], object]) -> None:
        self.post = post
        self._listeners = [post]
        self.asked: list[str] = []
        self.read: list[tuple[str, object]] = []
        self.jobs: list[Any] = []
        self.racing = self.busy = False
        self.view: JobView | None = None
        self.overview = CacheOverview(done=True)
        self.microphone = StillMicrophone(self.asked)
        self.offers = Offers(done=True)

    def attach(self, post: Callable[[Message], object]) -> None:
        self._listeners.append(post)

    def detach(self, post: Callable[[Message], object]) -> None:
        self._listeners.remove(post)

    def run(self, job: Job[Any]) -> None:
        self.jobs.append(job)
        self.asked.append(f"{job.view.kind} {len(job.view.rows)}")

    def cancel_job(self) -> None:
        self.asked.append("cancel job")

    def inspect(self, entries: Sequence[BackendEntry]) -> None:
        self.asked.append("inspect")
        for post in self._listeners:
            post(CachesInspected(self.overview))

    def read_checkpoint(self, path: Path, post: object) -> None:
        self.read.append(("checkpoint", path))

    def suggest_folder(self, source: Path, form: str, post: object) -> None:
        self.read.append(("suggestion", form))

    def read_folder(self, text: str, post: object) -> None:
        self.read.append(("folder", text))

    def stop_reading(self) -> None:
        self.read.append(("stop", None))

    def offer(
        self, entries: Sequence[BackendEntry], chosen: Sequence[Candidate], clip_s: float | None, post: Any
    ) -> None:
        self.asked.append("offer")
        post(OffersKnown(self.offers))

    def stop_offering(self) -> None:
        self.asked.append("stop offering")

    def read_candidates(
        self, names: Sequence[str], entries: Sequence[BackendEntry], post: Any, shortlist: str = ""
    ) -> None:
        post(CandidatesRead((), (), shortlist))

    def look_around(self) -> None:
        self.asked.append("look_around")
        self.post(MachineKnown(MACHINE))
        self.post(BackendsKnown(BUILT_IN))

    def load(self, audio: Path | None, reference: str | None = None) -> None:
        self.asked.append(f"load {audio}")
        self.post(ClipReady(clip_view(demo=audio is None)))

    def look_up(self, size: str, asked: Sequence[Candidate]) -> None:
        self.asked.append(f"look_up {size}")
        self.post(ModelsKnown(size, MODELS.get(size, NANO)))

    def copy(self, text: str) -> None:
        self.asked.append(f"copy {text}")
        self.post(Copied(""))

    def start(self, plan: Plan, clip: Clip) -> None:
        self.asked.append(f"start {plan.size} x{plan.runs} on {clip.name}")
        self.started = plan
        self.racing = True

    def judge(self, kept: Kept, snapshot: RaceSnapshot, clip: Clip) -> None:
        self.asked.append(f"judge by {clip.reference}")

    def cancel(self) -> None:
        self.asked.append("cancel")

    def close(self) -> None:
        self.asked.append("close")

    def show(self, state: RaceSnapshot | JobView) -> None:
        """Report this state as a race or a job would."""
        if isinstance(state, JobView):
            self.view, self.busy = state, not state.over
            for post in self._listeners:
                post(JobChanged(state))
            return
        self.racing = not state.ended
        self.post(ended(state) if state.ended else RaceChanged(state))


def request(**facts: Any) -> Request:
    return Request(**{"plan": PLAN, "demo": True, "open_backends": True, **facts})
