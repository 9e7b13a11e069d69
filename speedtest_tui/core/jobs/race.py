"""Keeping a race: its document and folder, its texts beside one another, and how it compares with the one before.

keep = Keeper(plan, clip)
race = Race(plan, clip, changed, ended=lambda snapshot: keep(snapshot)); race.start()
"""

from __future__ import annotations

import contextlib
import datetime
from dataclasses import dataclass, replace
from pathlib import Path

from backends.base import Advice
from speedtest_tui.core import disk, format, host
from speedtest_tui.core.accuracy.words import Piece, pieces
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.locations import sessions_folder
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.race.row import RaceSnapshot
from speedtest_tui.core.race.verdict import assess, decide
from speedtest_tui.core.sessions import store
from speedtest_tui.core.sessions.compare import MODEL_TOPICS, compare, previous_of, same_clip
from speedtest_tui.core.sessions.document import Document, build, results_of


@dataclass(frozen=True)
class Kept:
    """What became of a race: its document, and the folder it is in, or why it is in none."""

    document: Document
    folder: Path | None = None
    advice: Advice | None = None


class Keeper:
    """Made when a race starts; describes the machine as it was then. Call it with the last snapshot."""

    def __init__(self, plan: Plan, clip: Clip, *, save: bool = True) -> None:
        self._plan = plan
        self._clip = clip
        self._save = save
        self._host = host.describe()
        self._started = datetime.datetime.now(datetime.UTC)

    def __call__(self, snapshot: RaceSnapshot) -> Kept:
        """Build the document and save it, unless nothing was measured at all.

        Whatever goes wrong with that is told: the result must still be shown.
        """
        document = build(snapshot, self._plan, self._clip, self._host, self._started)
        if not self._save or not any(row.runs_s for row in snapshot.rows):
            return Kept(document)
        try:
            return Kept(document, store.save(document, self._clip))
        except Exception as error:
            # Not only OSError: libsndfile has errors of its own for a full disk, and a folder's name may be no Unicode.
            why = Advice(f"{type(error).__name__}: {error}")
            if isinstance(error, OSError):
                why = disk.advice(error, sessions_folder())
            return Kept(
                document, advice=Advice(f"the session could not be saved ({' '.join(why.what.split())})", why.todo)
            )


def judged_again(kept: Kept, snapshot: RaceSnapshot, clip: Clip) -> tuple[RaceSnapshot, Kept]:
    """A race against the reference that its clip has by now; what was kept of it is kept so."""
    plan = kept.document.plan
    judged, language, doubts = assess(snapshot.rows, clip, plan.language)
    rows, found = decide(judged, plan.max_wer, paired=plan.order != "sequential")
    notes = (*(note for note in snapshot.notes if note not in snapshot.doubts), *doubts)
    document = replace(
        kept.document,
        clip=replace(kept.document.clip, reference=clip.reference, language=language or None),
        notes=notes,
        results=results_of(replace(snapshot, rows=rows)),
        verdict=found,
    )
    why = None
    try:
        if kept.folder:
            store.update(kept.folder, document)
    except OSError as error:
        why = disk.advice(error, kept.folder or sessions_folder())
    again = replace(snapshot, rows=rows, verdict=found, language=language, notes=notes, doubts=doubts)
    return again, Kept(document, kept.folder, why)


def marks_of(document: Document) -> dict[str, tuple[Piece, ...]]:
    """The texts of a race, each with its differences from the reference, or without one from the majority.

    Nothing where there is nothing to compare with.
    """
    from speedtest_tui.core.accuracy.agreement import differences, mark, weights_name

    clip = document.clip
    texts = {result.candidate: result.text for result in document.results if result.text is not None}
    if clip.reference:
        with contextlib.suppress(ValueError):  # a reference without a word
            return {name: differences(clip.reference, text, clip.language) for name, text in texts.items()}
    weights = {result.candidate: weights_name(result.model.source) for result in document.results if result.model}
    good = [result.candidate for result in document.results if result.status == "ok" and result.candidate in texts]
    if len({weights.get(name, name) for name in good}) < 2:
        return {}
    return {name: pieces(words) for name, words in mark(texts, good, weights, clip.language).words.items()}


def headline_since(kept: Kept) -> str:
    """How a kept race compares with the previous one on the same clip, in one line; empty where there is none.

    Only candidates that ran the same model both times are compared.
    """
    session = store.read(kept.folder) if kept.folder else None
    if not isinstance(session, store.Session) or session.document.state != "done":
        return ""
    try:
        previous = previous_of(session)
    except UserError:
        return ""  # a race's result does not depend on what can be read of others
    if previous is None or not same_clip(previous.document, session.document):
        return ""
    begun, moved, unchanged = previous.document.begun, [], 0
    for row in compare(previous.document, session.document).backends:
        if (
            row.was
            or row.factor is None
            or MODEL_TOPICS.intersection(difference.topic for difference in row.differences)
        ):
            continue
        if row.change == "same":
            unchanged += 1
        else:
            moved.append(f"{row.label} {format.factor(row.factor.value)} {row.change}")
    words = [*moved, *([f"{unchanged} unchanged"] if unchanged else [])]
    return f"since {begun.day} {begun:%b %H:%M}: {', '.join(words)}" if words else ""
