"""Two sessions next to each other: what became faster or slower, whose text changed, and what may explain it.

Whatever else differs between the two (clip, plan, machine, weights, options) is named, as the first place to look for
a reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from speedtest_tui.core import format as figures
from speedtest_tui.core.accuracy.words import keys
from speedtest_tui.core.conditions import during
from speedtest_tui.core.locations import sessions_folder
from speedtest_tui.core.models.sizes import labels, parts_of
from speedtest_tui.core.race.row import RateName
from speedtest_tui.core.race.statistics import Interval, ratio_interval
from speedtest_tui.core.sessions.document import Document, Result
from speedtest_tui.core.sessions.index import Summary, summaries, summary
from speedtest_tui.core.sessions.store import DamagedSession, Session, read

Change = Literal["faster", "slower", "same", "unclear", "new", "gone", "failed"]
"""`same`: the interval of the ratio holds 1. `unclear`: a single run on one side, so there is no interval."""

TextChange = Literal["same", "punctuation", "words"]
"""`punctuation` stands for case as well: whatever does not change which words were heard."""

ABSENT = ("unavailable", "missing-model")
"""Statuses of backends that could not take part, as opposed to those that did and failed."""

NAMED = 3
"""Backends that a headline names of each kind; the others are counted."""


@dataclass(frozen=True)
class BackendChange:
    """One candidate in both races.

    label: what people read where all that are compared are listed
    was: the earlier candidate where it is another one of the same backend

    before_s, after_s: median seconds of a run; None where it did not end well
    ratio: time after / time before with its 95 % bootstrap interval, so that more than 1 is slower
    text: None where one has no text or the clips differ
    wer_change: share of 1, positive where it got worse; None unless clip, reference and `rate` are the same
    detail: why it failed, is gone, or is new although it was in the earlier race
    """

    candidate: str
    change: Change
    before_s: float | None = None
    after_s: float | None = None
    ratio: Interval | None = None
    text: TextChange | None = None
    wer_before: float | None = None
    wer_after: float | None = None
    wer_change: float | None = None
    detail: str = ""
    differences: tuple[Difference, ...] = ()
    backend: str = ""
    label: str = ""
    was: str = ""
    rate: RateName = "WER"

    @property
    def errors(self) -> str:
        """ "WER 12 %, now 10 %"; "" where it was not known both times."""
        if self.wer_before is None or self.wer_after is None:
            return ""
        return f"{self.rate} {figures.percent(self.wer_before)}, now {figures.percent(self.wer_after)}"

    @property
    def factor(self) -> Interval | None:
        """How many times faster or slower, whichever it is: the ratio, turned over for what became faster."""
        if self.ratio is None or self.change != "faster":
            return self.ratio
        return Interval(1 / self.ratio.value, 1 / self.ratio.high, 1 / self.ratio.low)


@dataclass(frozen=True)
class Comparison:
    """Two races; `backends` in the order of the later one's ranks, those that are gone last.

    per_second: whether ratios are of run time per second of audio, because the clips differ
    differences: what differs for all backends
    remarks: how the figures are to be read, in sentences
    """

    headline: str
    backends: tuple[BackendChange, ...]
    differences: tuple[Difference, ...]
    remarks: tuple[str, ...]
    per_second: bool


def compare(before: Document, after: Document) -> Comparison:
    """Compare two documents as `document.build` makes them. Bootstraps: some 20 ms for each backend with five runs.

    The intervals know the spread of runs within each race. Heat, power mode and other programs differ from one race
    to the next as well, and no interval of two races can tell.
    """
    pairs = _pairs(before, after)
    found = ((old, new, _change(before, after, old, new)) for old, new in pairs)
    changes = [replace(change, was=_was(old, new)) for old, new, change in found if change]
    backends = [result.backend for document in (before, after) for result in document.results]
    shown = labels([change.candidate for change in changes], backends)
    changes = [
        replace(change, backend=parts_of(change.candidate, backends)[0], label=label)
        for change, label in zip(changes, shown, strict=True)
    ]
    rows = tuple(sorted(changes, key=lambda row: row.change == "gone"))
    differences = of_sessions(before, after)
    per_second = not same_clip(before, after)
    return Comparison(_headline(rows, differences), rows, differences, _remarks(rows, differences), per_second)


def _was(old: Result | None, new: Result | None) -> str:
    return old.candidate if old and new and old.candidate != new.candidate else ""


def _pairs(before: Document, after: Document) -> list[tuple[Result | None, Result | None]]:
    """The same candidate of both; of a backend that has one other left on either side, those two, as before and after.

    Each later one once, and then the earlier ones that are gone.
    """
    earlier = {result.candidate: result for result in before.results}
    later = {result.candidate: result for result in after.ordered}
    lone = [
        {result.backend: result for result in some if counts[result.backend] == 1}
        for some in (
            [result for name, result in earlier.items() if name not in later],
            [result for name, result in later.items() if name not in earlier],
        )
        for counts in [Counter(result.backend for result in some)]
    ]
    other = {lone[1][name].candidate: lone[0][name] for name in lone[1] if name in lone[0]}
    pairs = [(earlier.get(name) or other.get(name), result) for name, result in later.items()]
    taken = {old.candidate for old, _ in pairs if old}
    return [*pairs, *((result, None) for name, result in earlier.items() if name not in taken)]


def _change(before: Document, after: Document, old: Result | None, new: Result | None) -> BackendChange | None:
    """None where the candidate took part in neither race."""
    known = new or old
    if known is None:
        return None
    name = known.candidate
    raced_before, raced_after = (result is not None and result.status not in ABSENT for result in (old, new))
    if new and raced_after and not raced_before:
        change: Change = "new" if new.status == "ok" else "failed"
        return BackendChange(name, change, None, _median(new), wer_after=new.errors, detail=_reason(new), rate=new.rate)
    if old and raced_before and not raced_after:
        detail = _reason(new) if new else ""
        return BackendChange(name, "gone", _median(old), wer_before=old.errors, detail=detail, rate=old.rate)
    if not (old and new and raced_before):
        return None
    differences = of_results(old, new)
    if new.status != "ok":
        detail = _reason(new) + ("" if old.status == "ok" else ", as before")
        return BackendChange(name, "failed", _median(old), detail=detail, differences=differences)
    if old.status != "ok":
        detail = f"before: {_reason(old)}"
        return BackendChange(name, "new", None, _median(new), detail=detail, differences=differences)
    alike = same_clip(before, after)
    scale = 1.0 if alike else before.clip.seconds / after.clip.seconds
    ratio = ratio_interval([run * scale for run in new.runs_s], old.runs_s)
    comparable = alike and before.clip.reference == after.clip.reference and old.rate == new.rate
    wer_before, wer_after = _rates(old, new) if old.rate == new.rate else (None, new.errors)
    return BackendChange(
        name,
        _word(ratio),
        _median(old),
        _median(new),
        ratio,
        _text_change(old.text, new.text) if alike else None,
        wer_before,
        wer_after,
        wer_after - wer_before if comparable and wer_before is not None and wer_after is not None else None,
        differences=differences,
        rate=new.rate,
    )


def _rates(old: Result, new: Result) -> tuple[float | None, float | None]:
    """Both error rates by one normaliser: what an older version kept is by Whisper's alone."""
    if (old.wer_published is None) == (new.wer_published is None):
        return old.errors, new.errors
    one, other = (each.errors if each.wer_published is None else each.wer_published for each in (old, new))
    return one, other


def _median(result: Result) -> float | None:
    return result.median_s if result.status == "ok" else None


def _reason(result: Result) -> str:
    """ "failed: out of memory", without what to do; nothing for a result that is ok."""
    if result.status == "ok":
        return ""
    return f"{result.status}: {result.error.message}" if result.error and result.error.message else result.status


def _word(ratio: Interval | None) -> Change:
    if ratio is None:
        return "unclear"
    return "slower" if ratio.low > 1 else "faster" if ratio.high < 1 else "same"


def _text_change(before: str | None, after: str | None) -> TextChange | None:
    if before is None or after is None:
        return None
    return "same" if before == after else "punctuation" if keys(before) == keys(after) else "words"


def _headline(rows: Sequence[BackendChange], differences: Sequence[Difference]) -> str:
    """Everything in one sentence, what got worse first."""
    if not any(row.ratio or row.change == "unclear" for row in rows):
        sentence = "no backend ran to its end in both sessions: there is nothing to compare"
    elif all(row.change == "same" for row in rows):
        whose = f"all {len(rows)} backends are" if len(rows) > 1 else f"{rows[0].label} is"
        sentence = f"{whose} as fast as before, within the spread of the runs"
    else:
        order: tuple[Change, ...] = ("slower", "failed", "gone", "faster", "new", "unclear", "same")
        groups = [(change, [_named(row) for row in rows if row.change == change]) for change in order]
        sentence = "; ".join(f"{change}: {_enumeration(names)}" for change, names in groups if names)
    texts = sum(row.text == "words" for row in rows)
    if texts:
        sentence += f"; {texts} text{'s' * (texts > 1)} changed"
    if differences:
        sentence += f"; not alike: {', '.join(difference.topic for difference in differences)}"
    return sentence


def _named(row: BackendChange) -> str:
    if row.change not in ("faster", "slower") or row.factor is None:
        return row.label
    return f"{row.label} {factor_words(row.factor)}"


def factor_words(factor: Interval) -> str:
    """ "1.25× (1.20 to 1.31)"."""
    return f"{factor.value:.2f}× ({factor.low:.2f} to {factor.high:.2f})"


def _enumeration(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _remarks(rows: Sequence[BackendChange], differences: Sequence[Difference]) -> tuple[str, ...]:
    remarks = []
    topics = {difference.topic for difference in differences}
    if "clip" in topics:
        remarks.append(
            "the clips differ: ratios are of run time per second of audio, and backends that fill up windows of 30 s "
            "look slower on a shorter clip"
        )
    ratios = [row.change for row in rows if row.ratio]
    if not topics and len(ratios) > 2 and set(ratios) in ({"slower"}, {"faster"}):
        remarks.append(
            f"all {len(ratios)} backends became {ratios[0]}: heat, power mode or other programs are likelier reasons "
            "than a change in each"
        )
    return tuple(remarks)


def previous_of(session: Session) -> Session | None:
    """The newest earlier session of this machine with one of the candidates on the same clip; else that with all of
    them; else None.

    Sessions in which none of them ran to its end are passed over: there is nothing in them to compare with.
    Raises UserError where the sessions cannot be listed.
    """
    this = summary(session)
    names, clip, now = {entry.candidate for entry in this.entries}, this.clip.sha256, age(this)
    earlier = []
    for other in summaries():
        if isinstance(other, DamagedSession) or other.machine != this.machine or (then := age(other)) >= now:
            continue
        on_same_clip = clip is not None and other.clip.sha256 == clip
        if not on_same_clip and {entry.candidate for entry in other.entries} != names:
            continue
        if any(entry.status == "ok" and entry.candidate in names for entry in other.entries):
            earlier.append((on_same_clip, then))
    # What is listed may be gone or damaged by now.
    read_ones = (read(sessions_folder() / then[-1]) for _, then in sorted(earlier, reverse=True))
    return next((found for found in read_ones if isinstance(found, Session)), None)


def age(session: Summary) -> tuple[float, int, str]:
    """Sorts sessions from the oldest to the newest; those begun in the same second by the number in their names."""
    return session.begun.timestamp(), len(session.name), session.name


SHORT_REVISION = 12
"""Characters of a commit that tell it from all others, as `git log` shortens them."""


@dataclass(frozen=True)
class Difference:
    """Something that was one way and is another, in words that fit into a sentence."""

    topic: str
    before: str
    after: str

    @property
    def sentence(self) -> str:
        return f"{self.topic} was {self.before}, now {self.after}"


def same_clip(before: Document, after: Document) -> bool:
    """Whether both races heard the very same samples."""
    one, other = (document.clip.sha256 for document in (before, after))
    return one == other and one is not None


def of_sessions(before: Document, after: Document) -> tuple[Difference, ...]:
    """What holds for all backends alike: clip, plan, machine, program; the weightiest first."""
    pair = (before, after)
    plans, hosts = [one.plan for one in pair], [one.host for one in pair]
    machines = [during(one.conditions) for one in pair]
    busy = [host.load >= host.cores / 2 for host in hosts]
    found = [
        _clip(before, after),
        _values("chip", hosts, "chip"),
        _values("cores", hosts, "cores"),
        _values("kinds of cores", hosts, "cores_words") if all(host.core_kinds for host in hosts) else None,
        _difference("memory", *(f"{host.memory_bytes / 2**30:.0f} GB" for host in hosts)),
        _values("order", plans, "order_words"),
        _values("warm-up", plans, "warmup"),
        _difference("language", *(plan.language or "detected" for plan in plans)),
        _values("program", pair, "program"),
        _values("system", hosts, "system"),
        _values("Python", hosts, "python"),
        *(_values(topic, machines, name) for topic, name in CONDITIONS),
        _difference("energy saving", *(SWITCH[one.low_power] for one in machines)),
        # Only where one race began on a machine that was half busy, or more, and the other did not.
        _difference("load average at the start", *(f"{host.load:.1f} on {host.cores} cores" for host in hosts))
        if busy[0] != busy[1]
        else None,
    ]
    return tuple(difference for difference in found if difference)


SWITCH = {True: "on", False: "off", None: ""}
CONDITIONS = (
    ("power source", "power"),
    ("thermal pressure", "pressure"),
    ("clock limit in percent", "speed_limit"),
    ("clock governor", "governor"),
)


MODEL_TOPICS = frozenset({"source", "revision", "variant", "dtype", "bits per weight", "parameters"})
"""Differences between two results that make them those of two models."""


def of_results(before: Result, after: Result) -> tuple[Difference, ...]:
    """What differs in how one backend ran: weights, precision, device, options. What either does not know is left out.

    before, after: results of one backend
    """
    pair, models = (before, after), (before.model, after.model)
    counts = [model.parameters if model and model.parameters else 0 for model in models]
    other_count = abs(counts[0] - counts[1]) > ALIKE * max(counts) and all(counts)
    found = [
        _values("candidate", pair, "candidate"),
        _values("library", pair, "version"),
        _values("source", models, "source"),
        _difference("revision", *((model.revision or "")[:SHORT_REVISION] if model else "" for model in models)),
        _values("variant", models, "variant"),
        _values("dtype", models, "dtype"),
        _values("bits per weight", models, "bits"),
        _difference("parameters", *counts) if other_count else None,
        _values("device", pair, "device"),
        _values("GPU memory limit in MB", pair, "device_limit_mb"),
    ]
    if before.device and after.device:
        options = dict.fromkeys((*before.options, *after.options))
        found += [_difference(f"option {key}", *(one.options.get(key, "not set") for one in pair)) for key in options]
    return tuple(difference for difference in found if difference)


ALIKE = 0.02
"""Share by which counts of parameters may differ for one model: some count the encoder's positions, some do not."""


def _difference(topic: str, before: object, after: object) -> Difference | None:
    """None where they are alike, or either is not known."""
    if before == after or before in (None, "") or after in (None, ""):
        return None
    return Difference(topic, str(before), str(after))


def _values(topic: str, pair: Iterable[object], name: str) -> Difference | None:
    return _difference(topic, *(getattr(facts, name, None) for facts in pair))


def _clip(before: Document, after: Document) -> Difference | None:
    if same_clip(before, after):
        return None
    clips = [document.clip for document in (before, after)]
    labels = [f"{clip.name} ({figures.seconds(clip.seconds)})" for clip in clips]
    if labels[0] == labels[1]:
        # A file recorded anew under its old name, for one.
        labels = [f"{clip.name} (SHA-256 {str(clip.sha256)[:8]}…)" for clip in clips]
    return Difference("clip", *labels)
