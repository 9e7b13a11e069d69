"""Two sessions next to each other: what is said of each backend, of all, and which session is the one before."""

from __future__ import annotations

import dataclasses
import datetime
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from documents import STARTED, build, clip, edited, failed_row, good_row

from speedtest_tui.core import codec
from speedtest_tui.core.locations import sessions_folder
from speedtest_tui.core.sessions.compare import BackendChange, Comparison, compare, previous_of
from speedtest_tui.core.sessions.document import Document
from speedtest_tui.core.sessions.store import Session

SLOW, FAST = (0.30, 0.31, 0.32, 0.31, 0.30), (0.20, 0.21, 0.20, 0.19, 0.20)


def only(comparison: Comparison) -> BackendChange:
    (change,) = comparison.backends
    return change


def changed(document: Document, **sections: dict[str, Any]) -> Document:
    """A copy with some facts of its clip, plan or host replaced."""
    return edited(document, lambda facts: [facts[name].update(new) for name, new in sections.items()])


def with_result(document: Document, **new: Any) -> Document:
    """A copy whose first result has other facts; those named as in the model go there."""

    def edit(facts: dict[str, Any]) -> None:
        result = facts["results"][0]
        for name, value in new.items():
            (result["model"] if name in result["model"] else result)[name] = value

    return edited(document, edit)


def test_faster() -> None:
    change = only(compare(build(good_row("a", SLOW)), build(good_row("a", FAST))))
    assert change.change == "faster"
    assert (change.before_s, change.after_s) == (0.31, 0.20)
    assert change.ratio and change.factor
    assert change.ratio.value == pytest.approx(0.20 / 0.31)
    assert change.ratio.low <= change.ratio.value <= change.ratio.high < 1
    assert change.factor.value == pytest.approx(0.31 / 0.20)
    assert 1 < change.factor.low <= change.factor.value <= change.factor.high


def test_slower() -> None:
    comparison = compare(build(good_row("a", FAST)), build(good_row("a", SLOW)))
    change = only(comparison)
    assert change.change == "slower"
    assert change.factor == change.ratio
    assert change.ratio and change.ratio.low > 1
    assert comparison.headline == "slower: a 1.55× (1.48 to 1.63)"


def test_the_same_where_the_interval_holds_1() -> None:
    comparison = compare(build(good_row("a", (0.2, 0.3, 0.25))), build(good_row("a", (0.21, 0.29, 0.27))))
    assert only(comparison).change == "same"
    assert only(comparison).ratio
    assert comparison.headline == "a is as fast as before, within the spread of the runs"


def test_a_rate_of_characters_is_called_so_and_never_compared_with_one_of_words() -> None:
    words = build(good_row("a", FAST, "hello bear"))
    before, after = (with_result(words, wer=None, cer=share, rate="CER") for share in (0.5, 0.25))
    assert only(compare(before, after)).errors == "CER 50 %, now 25 %"
    mixed = only(compare(words, after))
    assert (mixed.rate, mixed.wer_change, mixed.errors) == ("CER", None, "")


def test_a_single_run_says_nothing() -> None:
    comparison = compare(build(good_row("a", (9.0,))), build(good_row("a", FAST)))
    change = only(comparison)
    assert (change.change, change.ratio, change.factor) == ("unclear", None, None)
    assert (change.before_s, change.after_s) == (9.0, 0.20)
    assert comparison.headline == "unclear: a"


def test_new_gone_and_failed() -> None:
    before = build(good_row("stays", FAST), good_row("goes", FAST), good_row("breaks", FAST), failed_row("mended"))
    after = build(
        failed_row("breaks", "it broke"), good_row("comes", FAST), good_row("stays", FAST), good_row("mended", FAST)
    )
    comparison = compare(before, after)
    found = {
        change.backend: (change.change, change.before_s, change.after_s, change.detail)
        for change in comparison.backends
    }
    assert found == {
        "stays": ("same", 0.20, 0.20, ""),
        "comes": ("new", None, 0.20, ""),
        "mended": ("new", None, 0.20, "before: failed: it broke"),
        "breaks": ("failed", 0.20, None, "failed: it broke"),
        "goes": ("gone", 0.20, None, ""),
    }
    assert comparison.backends[-1].backend == "goes"
    assert comparison.headline == "failed: breaks; gone: goes; new: comes, mended; same: stays"


def test_failed_again() -> None:
    comparison = compare(build(failed_row("a")), build(failed_row("a", "it broke otherwise")))
    assert only(comparison).detail == "failed: it broke otherwise, as before"
    assert comparison.headline.startswith("no backend ran to its end in both sessions")


@pytest.mark.parametrize("status", ["unavailable", "missing-model"])
def test_who_could_not_take_part_is_no_failure(status: str) -> None:
    there = build(good_row("a", FAST), good_row("b", FAST), good_row("c", FAST))
    not_there = build(failed_row("b", "not installed"), failed_row("c"), good_row("a", FAST))
    not_there = edited(not_there, lambda facts: facts["results"][0].update(status=status))
    by_name = {change.backend: change for change in compare(there, not_there).backends}
    assert (by_name["b"].change, by_name["b"].detail) == ("gone", f"{status}: not installed")
    assert list(by_name) == ["a", "c", "b"]
    by_name = {change.backend: change for change in compare(not_there, there).backends}
    assert (by_name["b"].change, by_name["b"].detail) == ("new", "")
    assert [change.backend for change in compare(not_there, not_there).backends] == ["a", "c"]


@pytest.mark.parametrize(
    ("text", "expected"), [("hello there", "same"), ("Hello, there!", "punctuation"), ("hello where", "words")]
)
def test_text(text: str, expected: str) -> None:
    comparison = compare(build(good_row("a", FAST)), build(good_row("a", FAST, text)))
    assert only(comparison).text == expected
    assert ("1 text changed" in comparison.headline) == (expected == "words")


def test_word_error_rate() -> None:
    before, after = build(good_row("a", FAST, "hello where")), build(good_row("a", FAST))
    change = only(compare(before, after))
    assert (change.wer_before, change.wer_after, change.wer_change) == (0.5, 0.0, -0.5)
    change = only(compare(changed(before, clip={"reference": "other words"}), after))
    assert (change.wer_before, change.wer_after, change.wer_change) == (0.5, 0.0, None)


def test_another_clip_is_compared_by_seconds_of_audio() -> None:
    before = changed(build(good_row("a", FAST)), clip={"sha256": "0" * 64, "seconds": 2.0, "name": "long.wav"})
    comparison = compare(before, build(good_row("a", FAST)))
    change = only(comparison)
    assert comparison.per_second
    assert change.ratio and change.ratio.value == pytest.approx(2.0)
    assert (change.change, change.text, change.wer_change) == ("slower", None, None)
    assert [d.sentence for d in comparison.differences] == ["clip was long.wav (2.00 s), now clip.wav (1.00 s)"]
    assert "per second of audio" in comparison.remarks[0]
    assert comparison.headline.endswith("; not alike: clip")


def test_a_clip_recorded_anew_under_its_old_name() -> None:
    document = build(good_row("a", FAST))
    (difference,) = compare(changed(document, clip={"sha256": "0" * 64}), document).differences
    assert difference.before == "clip.wav (SHA-256 00000000…)"
    assert difference.after == f"clip.wav (SHA-256 {clip().sha256()[:8]}…)"


@pytest.mark.parametrize(
    ("section", "fact", "value", "sentence"),
    [
        ("plan", "order", "sequential", "order was sequential, now interleaved"),
        ("plan", "warmup", 0, "warm-up was 0, now 1"),
        ("plan", "language", "en", "language was en, now detected"),
        ("host", "chip", "Apple M1", "chip was Apple M1, now Test chip"),
        ("host", "memory_bytes", 16 << 30, "memory was 16 GB, now 8 GB"),
        ("host", "system", "macOS 26.0", "system was macOS 26.0, now Test system"),
        ("host", "python", "3.12", "Python was 3.12, now 3.11"),
        ("host", "load", 1.5, "load average at the start was 1.5 on 2 cores, now 0.5 on 2 cores"),
        ("host", "load", 0.9, None),
        ("plan", "runs", 9, None),
    ],
)
def test_what_differs_for_all(section: str, fact: str, value: Any, sentence: str | None) -> None:
    after = build(good_row("a", FAST))
    comparison = compare(changed(after, **{section: {fact: value}}), after)
    assert [difference.sentence for difference in comparison.differences] == ([sentence] if sentence else [])
    assert ("not alike" in comparison.headline) == bool(sentence)


def test_another_version_of_the_program() -> None:
    after = build(good_row("a", FAST))
    (difference,) = compare(dataclasses.replace(after, program="speedtest-tui 0.0.1"), after).differences
    assert difference.sentence == f"program was speedtest-tui 0.0.1, now {after.program}"


@pytest.mark.parametrize(
    ("fact", "value", "sentences"),
    [
        ("source", "org/other", ["source was org/other, now org/a"]),
        ("revision", "0123456789abcdef", ["revision was 0123456789ab, now abc"]),
        ("variant", "8-bit", ["variant was 8-bit, now 4-bit"]),
        ("dtype", "float32", ["dtype was float32, now float16"]),
        ("bits", 8.0, ["bits per weight was 8.0, now 4.5"]),
        ("device", "mps", ["device was mps, now cpu"]),
        ("options", {"chunk": "30 s"}, ["option chunk was 30 s, now 20 s"]),
        ("options", {"beam": "5"}, ["option beam was 5, now not set", "option chunk was not set, now 20 s"]),
        ("dtype", None, []),
        ("cache", "local", []),
    ],
)
def test_what_differs_for_one_backend(fact: str, value: Any, sentences: list[str]) -> None:
    after = build(good_row("a", FAST))
    change = only(compare(with_result(after, **{fact: value}), after))
    assert [difference.sentence for difference in change.differences] == sentences


def test_what_a_failure_left_unknown_is_no_difference() -> None:
    assert only(compare(build(good_row("a", FAST)), build(failed_row("a")))).differences == ()


def test_a_failure_may_have_its_reason_in_what_differs() -> None:
    before = build(good_row("a", FAST))
    after = with_result(before, status="timeout", revision="def", error={"kind": "stalled", "message": "no progress"})
    change = only(compare(before, after))
    assert (change.change, change.detail) == ("failed", "timeout: no progress")
    assert [difference.topic for difference in change.differences] == ["revision"]


def test_all_slower_at_once_points_at_the_machine() -> None:
    fast, slow = (build(*(good_row(name, runs) for name in "abc")) for runs in (FAST, SLOW))
    assert "all 3 backends became slower" in compare(fast, slow).remarks[0]
    assert "all 3 backends became faster" in compare(slow, fast).remarks[0]
    assert compare(fast, fast).remarks == ()
    # Where a reason is known, none is guessed.
    assert compare(changed(fast, host={"chip": "Apple M1"}), slow).remarks == ()
    assert compare(fast, build(good_row("a", SLOW), good_row("b", SLOW), good_row("c", FAST))).remarks == ()


def test_a_headline_names_three_of_a_kind() -> None:
    before, after = (build(*(good_row(name, runs) for name in "abcde"), good_row("x", FAST)) for runs in (FAST, SLOW))
    assert compare(before, after).headline == (
        "slower: a 1.55× (1.48 to 1.63), b 1.55× (1.48 to 1.63), c 1.55× (1.48 to 1.63) and 2 more; same: x"
    )
    assert compare(before, before).headline == "all 6 backends are as fast as before, within the spread of the runs"


def session(name: str, minutes: int, *backends: str, **sections: dict[str, Any]) -> Session:
    """A session begun some minutes after the first, by default on the same clip with backend a."""
    started = STARTED + datetime.timedelta(minutes=minutes)
    document = build(*(good_row(backend, FAST) for backend in backends or "a"), started=started)
    return Session(name, Path(name), changed(document, **sections))


@pytest.fixture
def previous(places: Path) -> Callable[..., str | None]:
    """The name of the session before one, among others that are on the disk with it."""

    def find(now: Session, *others: Session) -> str | None:
        for other in (now, *others):
            folder = sessions_folder() / other.name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "session.json").write_text(codec.document(other.document))
        found = previous_of(now)
        assert found is None or found.document in [other.document for other in others]
        shutil.rmtree(sessions_folder())
        return found and found.name

    return find


Previous = Callable[..., str | None]
OTHER_CLIP = {"sha256": "0" * 64}


def of_base(one: Session) -> Session:
    """The same race of base models."""

    def edit(facts: dict[str, Any]) -> None:
        for result in facts["results"]:
            result.update(size="base", candidate=f"{result['backend']}:base")

    return dataclasses.replace(one, document=edited(one.document, edit))


def test_another_model_of_a_backend_is_compared_and_named() -> None:
    after = build(good_row("a", FAST), good_row("b", FAST))
    before = of_base(Session("x", Path("x"), build(good_row("a", SLOW)))).document
    one, other = compare(before, after).backends
    assert (one.candidate, one.was, one.change) == ("a:tiny", "a:base", "faster")
    assert one.differences[0].sentence == "candidate was a:base, now a:tiny"
    assert (other.candidate, other.was, other.change) == ("b:tiny", "", "new")


def test_several_models_of_a_backend_are_compared_by_name() -> None:
    rows = [replace(good_row("a", runs), size=size, candidate=f"a:{size}") for size, runs in (("x", FAST), ("y", SLOW))]
    before, after = build(*rows), build(replace(rows[1], runs_s=FAST), replace(rows[0], candidate="a:z", size="z"))
    found = {one.candidate: (one.label, one.change) for one in compare(before, after).backends}
    assert found == {"a:y": ("a y", "faster"), "a:z": ("a z", "same")}


def test_the_session_before_is_the_newest_on_the_same_clip(previous: Previous) -> None:
    now = session("now", 9)
    old, newer, later = session("old", 1, "a"), session("newer", 2, "b", "a"), session("later", 10)
    other_clip, other_backend = session("other clip", 5, clip=OTHER_CLIP), session("other backend", 7, "b")
    other_size = of_base(session("other size", 6))
    other_machine = session("other machine", 8, host={"chip": "Apple M1"})
    (sessions_folder() / "damaged").mkdir(parents=True)
    assert previous(now, later, old, newer, other_size, other_clip, other_backend, other_machine) == "newer"


def test_without_the_clip_it_is_the_newest_of_the_same_plan(previous: Previous) -> None:
    now = session("now", 9, "a", "b")
    alike = session("alike", 2, "b", "a", clip=OTHER_CLIP)
    older = session("older", 1, "a", "b", clip=OTHER_CLIP)
    fewer = session("fewer", 3, "a", clip=OTHER_CLIP)
    other_size = of_base(session("other size", 4, "a", "b", clip=OTHER_CLIP))
    assert previous(now, older, alike, fewer, other_size) == "alike"
    assert previous(now, fewer, other_size) is None


def test_a_session_without_a_result_is_passed_over(previous: Previous) -> None:
    cancelled = Session("cancelled", Path("cancelled"), build(failed_row("a"), state="cancelled"))
    assert previous(session("now", 9), cancelled) is None
    assert previous(session("now", 9), cancelled, session("old", 1)) == "old"


def test_sessions_of_one_second_are_told_apart_by_number(previous: Previous) -> None:
    first, second, tenth = (session(name, 0) for name in ("20261120T123015", "20261120T123015-2", "20261120T123015-10"))
    assert previous(tenth, second, first) == second.name
    assert previous(second, tenth, first) == first.name
    assert previous(first, tenth, second) is None


def test_error_rates_of_older_versions_are_compared_with_the_published_ones() -> None:
    """They kept one figure only, by Whisper's normaliser."""
    later = build(good_row("a", (0.1, 0.1), "hello bear"))
    (result,) = later.results
    new = replace(later, results=(replace(result, wer=0.5, wer_published=0.25),))
    old = replace(later, results=(replace(result, wer=0.75, wer_published=None),))
    assert only(compare(old, new)).wer_change == 0.25 - 0.75
    assert only(compare(new, new)).wer_before == 0.5


def test_parameters_that_are_counted_otherwise_are_no_difference() -> None:
    def with_count(count: int) -> Document:
        return edited(build(good_row("a", FAST)), lambda facts: facts["results"][0]["model"].update(parameters=count))

    assert only(compare(with_count(71_825_920), with_count(72_593_920))).differences == ()
    assert [one.topic for one in only(compare(with_count(72_593_920), with_count(37_760_256))).differences] == [
        "parameters"
    ]
