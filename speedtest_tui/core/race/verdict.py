"""What a finished race means: statuses, ranks, relative speed, and the sentence that says who won."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from backends.base import Advice, Transcription
from backends.checks import repetition_loop
from speedtest_tui.core import format
from speedtest_tui.core.format import precision
from speedtest_tui.core.race.groups import levelled, links
from speedtest_tui.core.race.row import Row, RowError, Verdict, errors_of, place_of
from speedtest_tui.core.race.statistics import Interval, all_ratios, median_interval, rtfx

if TYPE_CHECKING:
    from speedtest_tui.core.audio.clip import Clip
HARDLY_RIGHT = 0.9
"""Error rate above which a text is rather that of another clip, or in another language."""

SAME_LOOP = 0.5
"""What a text that repeats itself must have right, or in common with others, to be what was said."""


def assess(rows: Sequence[Row], clip: Clip, given: str | None) -> tuple[tuple[Row, ...], str, tuple[str, ...]]:
    """Judge all rows by one language; that language ("" where nobody knows it), and remarks on the texts.

    Rows that were judged before are judged anew: the reference may be another one by now.
    """
    from speedtest_tui.core.accuracy.agreement import mark, weights_name

    language = given or spoken_language(rows)
    texts = {row.candidate: row.transcription.text for row in rows if row.runs_s and row.transcription}
    weights = {row.candidate: weights_name(row.spec.source) for row in rows if row.spec}
    loops = {name for name, text in texts.items() if repetition_loop(text)}
    shares: dict[str, float | None] = {}
    if loops and not clip.reference:
        shares = mark(texts, None, weights, language).shares
    looping, all_of_them = (len({weights.get(name, name) for name in names}) for names in (loops, texts))
    most = 2 * looping > all_of_them > 1
    rows = [
        judge(_unjudged(row), clip, language or None, repeats=most and (shares.get(row.candidate) or 0.0) >= SAME_LOOP)
        if row.runs_s
        else row
        for row in rows
    ]
    good = [row for row in rows if row.status == "ok"]
    if clip.reference:
        return tuple(replace(row, agreement=None) for row in rows), language, _doubts(good)
    shares = mark(texts, [row.candidate for row in good], weights, language).shares
    return tuple(replace(row, agreement=shares.get(row.candidate)) for row in rows), language, ()


def spoken_language(rows: Sequence[Row]) -> str:
    """The clip's language: what most of those say that detected it, else of those that know one; "" without any.

    Where as many say one thing as another, the longest text decides.
    """
    heard = [row.transcription for row in rows if row.transcription and row.transcription.language]
    votes = [one for one in heard if one.detected] or heard
    counts = Counter(one.language for one in votes)
    return max(votes, key=lambda one: (counts[one.language], len(one.text.split())), default=Transcription("")).language


def _unjudged(row: Row) -> Row:
    """A row as its runs left it."""
    status = "" if row.status in ("ok", "invalid") else row.status
    error = row.error if status else None
    return replace(row, status=status, error=error, rank=None, shared=False, tied=(), slower=None)


def _doubts(rows: Sequence[Row]) -> tuple[str, ...]:
    """Whether the reference can be this clip's. Nano models know some 70 words, and say nothing of that."""
    if any(row.wer is None for row in rows):
        return ("the reference has no word: enter what is said in the clip to see error rates",)
    rates = [row.wer for row in rows if row.wer is not None and not (row.spec and row.spec.kind == "embedded")]
    if not rates or min(rates) <= HARDLY_RIGHT:
        return ()
    return (
        f"{rows[0].rate} above {HARDLY_RIGHT * 100:.0f} % for every model: is the reference the text of this clip?",
    )


def judge(row: Row, clip: Clip, language: str | None, *, repeats: bool = False) -> Row:
    """Give a row that ran to its end its status, figures and WER. Rows that already have a status keep it.

    A text that repeats itself because the speech does is no loop: the reference says so, or `repeats`: most others do
    """
    text = row.transcription.text if row.transcription else ""
    median_s = row.median_s
    from speedtest_tui.core.accuracy.wer import unspaced

    wer, published = _rates(clip, text, language) if row.transcription else (None, None)
    row = replace(
        row,
        median=median_interval(row.runs_s),
        rtfx=rtfx(clip.seconds, median_s) if median_s else None,
        wer=wer,
        wer_published=published,
        rate="CER" if unspaced(language) else "WER",
    )
    if row.status:
        return row
    reason = row.transcription.invalid if row.transcription else "no text came back"
    if row.transcription and row.transcription.looping:
        said = wer is not None and wer <= SAME_LOOP and bool(repetition_loop(clip.reference or ""))
        reason = "" if said or repeats else reason
    if not reason and clip.speech and not text:
        reason = "the text is empty although the clip has speech"
    if reason:
        return replace(row, status="invalid", error=RowError("invalid", Advice(reason, "its time does not count")))
    return replace(row, status="ok")


def _rates(clip: Clip, text: str, language: str | None) -> tuple[float | None, float | None]:
    """Our error rate and the published one; None without a reference, or where it has no word."""
    if not clip.reference:
        return None, None
    from speedtest_tui.core.accuracy.wer import published_word_error_rate, word_error_rate

    found: list[float | None] = []
    for rate in (word_error_rate, published_word_error_rate):
        try:
            found.append(rate(clip.reference, text, language))
        except ValueError:
            found.append(None)
    return found[0], found[1]


def rank(rows: Sequence[Row], *, paired: bool = True) -> tuple[Row, ...]:
    """Rank the rows that are ok by their median, 1 for the fastest; all others stay without a rank.

    Rows share a rank while the interval of their ratio to the fastest of that rank includes 1, as it always does after
    one run each; the next rank is the place of the first that is really slower. The intervals of all pairs hold 95 % of
    the time together, so that more candidates bring no false winner. Rows of different groups are compared by what each
    took beside the anchor.

    paired: whether runs of one place are of one round; compared within it, what disturbed both counts for neither
    """
    from statistics import median

    able = [(at, runs) for at, runs in enumerate(levelled(rows)) if rows[at].status == "ok" and runs and median(runs)]
    able.sort(key=lambda one: median(one[1]))
    order, runs = [rows[at] for at, _ in able], [found for _, found in able]
    grouped = any(row.groups for row in order)
    ratios = all_ratios(
        runs, paired=paired, links=(lambda a, b: links(rows, able[a][0], able[b][0])) if grouped else None
    )
    apart = {pair for pair, found in ratios.items() if found is not None and found.low > 1}
    leader, ranks = 0, []
    for place in range(len(order)):
        leader = place if (place, leader) in apart else leader
        ranks.append(leader + 1)
    ranked = {}
    for place, row in enumerate(order):
        tied = tuple(
            other.candidate
            for at, other in enumerate(order)
            if at != place and (max(at, place), min(at, place)) not in apart
        )
        slower = (
            _as_medians(ratios[place, 0], median(runs[place]) / median(runs[0])) if place else Interval(1.0, 1.0, 1.0)
        )
        shared = ranks.count(ranks[place]) > 1
        ranked[row.candidate] = replace(row, rank=ranks[place], shared=shared, tied=tied, slower=slower)
    return tuple(ranked.get(row.candidate, row) for row in rows)


def _as_medians(found: Interval | None, ratio: float) -> Interval | None:
    """The ratio that people get who divide the medians they see, where that is within its interval (nearly always)."""
    return found and replace(found, value=min(max(ratio, found.low), found.high))


def decide(
    rows: Sequence[Row], max_wer: float | None = None, *, paired: bool = True
) -> tuple[tuple[Row, ...], Verdict]:
    """Rank judged rows, mark those that are recommended and those that nobody beats, and say what it comes to."""
    rows = rank(rows, paired=paired)
    choice, found = choose(rows, max_wer), verdict(rows)
    best, unbeaten = ({row.candidate for row in some} for some in (choice.best, pareto(rows)))
    marked = tuple(replace(row, recommended=row.candidate in best, pareto=row.candidate in unbeaten) for row in rows)
    good, recommended = (tuple(row.candidate for row in some) for some in (choice.good, choice.best))
    return marked, replace(found, good_enough=good, recommended=recommended, answer=choice.sentence)


WITHIN = 0.02
"""Good enough, where nobody says what is: not worse than the best text by more than this share of words."""

ANY_GOOD = 0.3
"""And where even the best text has more errors than this, as `format.error_mood` has it, none is good enough."""


class Choice(NamedTuple):
    """Rows whose text is good enough, the fastest first; the recommended among them, several where they are alike."""

    good: tuple[Row, ...]
    best: tuple[Row, ...]
    sentence: str


def choose(rows: Sequence[Row], max_wer: float | None = None) -> Choice:
    """The fastest of ranked rows whose text is good enough; of those tied with it, the one with the best text.

    max_wer: the share of wrong words that is good enough, of those not agreed upon where there is no reference
    """
    order = _order(rows)
    errors = {row.candidate: round(found, 4) for row in order if (found := errors_of(row, order)) is not None}
    order = [row for row in order if row.candidate in errors]
    if not order:
        return Choice((), (), NO_TEXT if any(row.rank for row in rows) else "")
    agreed = order[0].wer is None

    def speed(some: Sequence[Row]) -> str:
        return format.few([f"{row.label} {format.rtfx(row.rtfx)}" for row in some])

    def quality(some: Sequence[Row], wrong: str = " wrong") -> str:
        shares = dict.fromkeys(errors[row.candidate] for row in some)
        if agreed:
            return " and ".join(format.percent(1 - share) for share in shares) + " agreement with the others"
        return " and ".join(map(format.percent, shares)) + wrong

    least = min(errors.values())
    limit = max_wer if max_wer is not None else least + WITHIN
    good = tuple(row for row in order if errors[row.candidate] <= limit + 1e-9)
    if not good or (max_wer is None and least > ANY_GOOD):
        nearest = next(row for row in order if errors[row.candidate] == least)
        where = f"above the {format.percent(limit)} allowed" if max_wer is not None else "no text here is good enough"
        return Choice((), (), f"No recommendation: even {nearest.label} has {quality([nearest])}, {where}.")
    first = good[0]
    alike = tuple(row for row in good if row is first or row.candidate in first.tied)
    best = tuple(row for row in alike if errors[row.candidate] == min(errors[one.candidate] for one in alike))
    if len(alike) > 1 and any(len(row.runs_s) < 2 for row in alike):
        return Choice(good, (), "No recommendation after one run each: race again with more runs.")
    fastest = [row for row in order if row.rank == order[0].rank]
    shown = f"{speed(best)}, {quality(best, '' if first not in fastest else ' wrong')}"
    tie = " (tied)" if len(best) > 1 else ""
    if first not in fastest:
        worse = f"Fastest: {speed(fastest)} but {'only ' if agreed else ''}{quality(fastest)}."
        kind = "Fastest good one" if len(alike) == 1 else "Best text of the fastest good ones"
        kind = "Fastest good ones" if tie else kind
        return Choice(good, best, f"{worse} {kind}: {shown}{tie}.")
    kind = "Fastest and good enough" if tie or len(alike) == len(fastest) == 1 else "Best text of the fastest (tied)"
    return Choice(good, best, f"{kind if len(order) > 1 else 'Good enough'}: {shown}{tie}.")


NO_TEXT = "No recommendation: enter the correct text (t, or --reference) to see which is good enough."


def _order(rows: Sequence[Row]) -> list[Row]:
    return sorted((row for row in rows if row.rank), key=place_of)


def pareto(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The ranked rows that nobody beats: none is as fast and has a better text, none is faster and as good."""
    order = _order(rows)
    known = {row.candidate: found for row in order if (found := errors_of(row, order)) is not None}

    def beats(one: Row, other: Row) -> bool:
        tied = one.candidate in other.tied
        faster = not tied and place[one.candidate] < place[other.candidate]
        mine, theirs = known[one.candidate], known[other.candidate]
        return (faster and mine <= theirs) or ((faster or tied) and mine < theirs)

    able = [row for row in order if row.candidate in known]
    place = {row.candidate: at for at, row in enumerate(able)}
    return tuple(row for row in able if not any(beats(one, row) for one in able if one is not row))


NANO_NOTE = (
    "demo models (nano) know about 70 words: this compares overhead only; for real speed and text choose a size "
    "(s, or --size=small)"
)


def nano(rows: Sequence[Row]) -> bool:
    """Whether any of the rows runs, or is going to run, one of the tiny models that come with the program."""
    return any(row.size == "nano" and (row.spec is None or row.spec.kind == "embedded") for row in rows)


def verdict(rows: Sequence[Row]) -> Verdict:
    """Name the fastest of ranked rows; significant only where the runner-up's interval stays above 1."""
    order = _order(rows)
    if not order:
        return Verdict(sentence="no backend finished: nothing to compare")
    first = order[0]
    if len(order) == 1:
        how = "took part" if len(rows) == 1 else "finished"
        return Verdict(first.candidate, False, f"only {first.label} {how}: nothing to compare")
    second = order[1]
    tied = tuple(row.candidate for row in order if row.rank == 1) if first.shared else ()
    weights = _weights_remark(first, second)
    if second.slower is None:
        assert first.median_s and second.median_s
        ratio = second.median_s / first.median_s
        sentence = f"{first.label} took {ratio:.2g}× less time than {second.label}, in one run each: no interval"
        return Verdict(first.candidate, False, f"{sentence}; {weights}", tied)
    low, high = second.slower.low, second.slower.high
    if low > 1:
        spread = f"{second.slower.value:.2f}× ({low:.2f} to {high:.2f})"
        return Verdict(first.candidate, True, f"{first.label} is {spread} faster than {second.label}; {weights}")
    spread = f"ratio {second.slower.value:.2f}, 95 % interval {low:.2f}–{high:.2f}: includes 1"
    alike = [row.label for row in (order[: len(tied)] if tied else order[:2])]
    return Verdict(first.candidate, False, f"{format.few(alike, ', ', ' and ')} are tied ({spread}); {weights}", tied)


def _weights_remark(first: Row, second: Row) -> str:
    """Whether the two compared rows ran the same weights, in words."""
    mine, theirs = weights_of(first), weights_of(second)
    if identity(first) != identity(second) or "unknown weights" in (mine, theirs):
        return f"different models: {mine} and {theirs}"
    one, other = precision_of(first), precision_of(second)
    same = f"same weights ({mine})" if one == other else f"same model, {one} against {other}"
    if all(row.spec and row.spec.kind == "embedded" for row in (first, second)):
        what = "same weights" if one == other else same
        return f"{what} ({identity(first)}: this ranks overhead, not quality)"
    return same


def _comes_with(row: Row) -> str:
    """The name of a model that comes with this program or a backend's library; "" for others."""
    kind, source = row.spec.kind if row.spec else "", row.loaded.source if row.loaded else ""
    return source.partition("/")[0] if kind == "embedded" or (kind == "bundled" and source.count("/") == 1) else ""


def identity(row: Row) -> str:
    """What its model is called whatever its layout and precision; "" where nothing was loaded."""
    from speedtest_tui.core.accuracy.agreement import weights_name

    return _comes_with(row) or (weights_name(row.loaded.source) if row.loaded else "")


def precision_of(row: Row) -> str:
    """ "float16", "4.5 bits, float16"; "" where nothing was loaded or nothing is known."""
    return precision(row.loaded.dtype, row.loaded.bits, dict(row.loaded.options)) if row.loaded else ""


def models_note(rows: Sequence[Row]) -> tuple[str, ...]:
    """Where ranked rows did not all run one model in one precision, what they ran. Of built-in models others speak."""
    ranked = [row for row in _order(rows) if row.loaded]
    if all(row.spec and row.spec.kind == "embedded" for row in ranked):
        return ()
    models: dict[str, dict[str, None]] = {}
    for row in ranked:
        models.setdefault(identity(row), {}).setdefault(precision_of(row))
    several = [f"{name} as {' and '.join(kinds)}" for name, kinds in models.items() if len(kinds) > 1]
    found = [f"different models raced: {', '.join(models)}"] if len(models) > 1 else []
    found += [f"the same model in other precision: {'; '.join(several)}"] if several else []
    return tuple(found)


def weights_of(row: Row) -> str:
    """The weights that ran, short enough for a sentence: name, dtype, bits where quantised."""
    if row.loaded is None:
        return "unknown weights"
    source = _comes_with(row) or row.loaded.source.rstrip("/").rpartition("/")[2]
    return f"{source} {precision_of(row)}".strip()
