"""What a finished race means: who counts, who won, and how that may be said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backends.base import Advice, Loaded, Loop, ModelSpec, Transcription
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.format import few
from speedtest_tui.core.race import verdict as verdicts
from speedtest_tui.core.race.row import Row, RowError, Verdict, rank_mark, relative
from speedtest_tui.core.race.verdict import assess, judge, models_note, nano, verdict, weights_of

FAST, SLOW = (0.10, 0.11, 0.10, 0.105, 0.10), (0.30, 0.31, 0.30, 0.305, 0.29)


def clip(reference: str | None = "hello there", speech: bool = True) -> Clip:
    return Clip(np.zeros(16_000, dtype=np.float32), "clip", reference=reference, speech=speech)


def row(name: str, runs: tuple[float, ...], text: str = "hello there", **facts: Any) -> Row:
    """A row that ran to its end, as the supervisor leaves it."""
    spec = facts.pop("spec", ModelSpec("hub", "org/model"))
    loaded = Loaded("cpu", facts.pop("dtype", "float16"), facts.pop("bits", 16.0), 1, spec.source, "", ())
    transcription = Transcription(text, invalid=facts.pop("invalid", ""))
    return replace(
        Row(name, "tiny", "ended", candidate=name), runs_s=runs, spec=spec, loaded=loaded, transcription=transcription
    )


def decide(*rows: Row, max_wer: float | None = None) -> tuple[tuple[Row, ...], Verdict]:
    return verdicts.decide([row if row.rtfx else judge(row, clip(), None) for row in rows], max_wer)


def test_figures_of_a_row() -> None:
    judged = judge(row("a", (0.1, 0.3, 0.2), "hello here"), clip(), None)
    assert (judged.status, judged.median_s, judged.rtfx) == ("ok", 0.2, 5.0)
    assert judged.wer == 0.5
    assert judged.median is not None
    assert (judged.median.low, judged.median.high) == (0.1, 0.3)


def test_no_reference_no_error_rate() -> None:
    assert judge(row("a", FAST), clip(reference=None), None).wer is None


def test_ranks_follow_the_medians() -> None:
    rows, found = decide(row("slow", SLOW), row("fast", FAST))
    assert [(r.backend, r.rank) for r in rows] == [("slow", 2), ("fast", 1)]
    assert rows[1].slower is not None
    assert (rows[1].slower.low, rows[1].slower.value, rows[1].slower.high) == (1.0, 1.0, 1.0)
    assert rows[0].slower is not None
    assert rows[0].slower.low < rows[0].slower.value == pytest.approx(3.0, rel=0.1)
    assert (found.fastest, found.significant) == ("fast", True)
    assert found.sentence.startswith(f"fast is {rows[0].slower.value:.2f}× (")
    assert "faster than slow; same weights (model float16)" in found.sentence


def test_a_tie_is_called_one() -> None:
    _, found = decide(row("a", (0.10, 0.14, 0.12, 0.11, 0.13)), row("b", (0.11, 0.14, 0.12, 0.10, 0.135)))
    assert (found.fastest, found.significant) == ("a", False)
    assert "a and b are tied (ratio " in found.sentence


def test_what_cannot_be_told_apart_shares_a_rank() -> None:
    """The next rank is the place of the first that is slower than the fastest of the rank before."""
    near = (0.105, 0.12, 0.10, 0.115, 0.11)
    rows, found = decide(
        row("slow", SLOW), row("b", near), row("a", (0.10, 0.12, 0.11, 0.105, 0.11)), row("c", SLOW[::-1])
    )
    assert {r.backend: (rank_mark(r), set(r.tied)) for r in rows} == {
        "a": ("1=", {"b"}), "b": ("1=", {"a"}), "slow": ("3=", {"c"}), "c": ("3=", {"slow"}),
    }  # fmt: skip
    assert {relative(r) for r in rows if r.rank == 1} == {"tied"}
    assert set(found.tied) == {"a", "b"}
    assert not found.significant


def test_after_one_run_nobody_wins() -> None:
    rows, _ = decide(row("a", (0.1,)), row("b", (0.3,)))
    assert [rank_mark(r) for r in rows] == ["1=", "1="]


def test_one_run_each_has_no_interval() -> None:
    rows, _ = decide(row("a", (0.1,)), row("b", (0.3,)))
    assert rows[1].slower is None
    assert verdict(rows) == Verdict(
        "a",
        False,
        "a took 3× less time than b, in one run each: no interval; same weights (model float16)",
        ("a", "b"),
    )


def test_alone() -> None:
    rows, _ = decide(row("a", FAST))
    assert verdict(rows) == Verdict("a", False, "only a took part: nothing to compare")


def test_nobody() -> None:
    assert verdict([Row("a", "tiny", status="failed")]) == Verdict("", False, "no backend finished: nothing to compare")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row("bad", (0.01, 0.01), invalid="1 of 1 segments have NaN"), "NaN"),
        (row("bad", (0.01, 0.01), text=""), "empty although the clip has speech"),
        (replace(row("bad", (0.01, 0.01)), transcription=None), "no text came back"),
    ],
)
def test_invalid_output_never_gets_a_rank(bad: Row, reason: str) -> None:
    rows, found = decide(bad, row("good", SLOW))
    assert (rows[0].status, rows[0].rank) == ("invalid", None)
    assert rows[0].error is not None
    assert reason in rows[0].error.advice.what
    assert (rows[1].rank, found.fastest) == (1, "good")


def test_empty_text_is_right_for_silence() -> None:
    assert judge(row("a", FAST, text=""), clip(reference=None, speech=False), None).status == "ok"


def test_a_row_that_failed_stays_failed() -> None:
    failed = replace(row("a", (0.01, 0.01)), status="cancelled", error=RowError("cancelled", Advice("stopped")))
    rows, found = decide(failed, row("b", SLOW))
    assert (rows[0].status, rows[0].rank) == ("cancelled", None)
    assert rows[0].rtfx == 100.0
    assert found.fastest == "b"


def test_different_weights_are_said() -> None:
    q4 = ModelSpec("hub", "mlx-community/whisper-tiny-mlx-q4")
    _, found = decide(row("a", FAST, spec=q4, bits=4.5), row("b", SLOW, spec=ModelSpec("hub", "openai/whisper-tiny")))
    assert found.sentence.endswith("same model, 4.5 bits against float16")
    _, found = decide(row("a", FAST, spec=q4, bits=4.5), row("b", SLOW, spec=ModelSpec("hub", "openai/whisper-base")))
    assert found.sentence.endswith("different models: whisper-tiny-mlx-q4 4.5 bits and whisper-base float16")


def test_what_raced_is_noted_unless_it_is_one_model_in_one_precision() -> None:
    tiny, base = ModelSpec("hub", "org/whisper-tiny-mlx"), ModelSpec("hub", "openai/whisper-base")
    a, b, c = (
        row("a", FAST, spec=tiny),
        row("b", SLOW, spec=tiny, dtype="float32", bits=32.0),
        row("c", SLOW, spec=base),
    )
    assert models_note(decide(a, replace(b, loaded=a.loaded))[0]) == ()
    assert models_note(decide(a, b)[0]) == ("the same model in other precision: tiny as float16 and float32",)
    assert models_note(decide(a, c)[0]) == ("different models raced: tiny, base",)
    built_in = ModelSpec("embedded", "nano/mlx")
    assert models_note(decide(row("a", FAST, spec=built_in), row("b", SLOW, spec=built_in, bits=32.0))[0]) == ()


def test_nano_is_said_to_rank_overhead() -> None:
    a = row("a", FAST, spec=ModelSpec("embedded", "nano/mlx"))
    b = row("b", SLOW, spec=ModelSpec("embedded", "nano/hf"), dtype="float32", bits=32.0)
    said = "(nano: this ranks overhead, not quality)"
    assert f"same model, float16 against float32 {said}" in decide(a, b)[1].sentence
    assert f"same weights {said}" in decide(a, replace(b, loaded=a.loaded))[1].sentence


def test_names_of_weights() -> None:
    assert weights_of(row("a", FAST, spec=ModelSpec("openai", "https://x/abc/tiny.pt"))) == "tiny.pt float16"
    assert weights_of(row("a", FAST, spec=ModelSpec("bundled", "pocketsphinx/en-us"), dtype="")) == "pocketsphinx"
    assert weights_of(Row("a", "tiny")) == "unknown weights"


def rated(name: str, pace: float, wer: float | None, runs: int = 5) -> Row:
    """A judged row that takes `pace` seconds, with next to no spread, and none that others share."""
    times = tuple(pace * (1 + 0.001 * ((step * (ord(name[0]) % 4 + 1)) % 5)) for step in range(runs))
    judged = judge(row(name, times), clip(reference=None), None)
    return replace(judged, wer=wer, rtfx=10 / pace)


@pytest.mark.parametrize(
    ("rows", "max_wer", "recommended", "good", "sentence"),
    [
        pytest.param(
            [("a", 0.1, 0.12), ("b", 0.2, 0.0), ("c", 0.4, 0.01)], None, ["b"], ["b", "c"],
            "Fastest: a 100× but 12 % wrong. Fastest good one: b 50.0×, 0 %.", id="fastest is bad",
        ),
        pytest.param(
            [("a", 0.1, 0.02), ("b", 0.2, 0.0)], None, ["a"], ["a", "b"],
            "Fastest and good enough: a 100×, 2 % wrong.", id="within two points of the best",
        ),
        pytest.param(
            [("a", 0.1, 0.12), ("b", 0.2, 0.0)], 0.15, ["a"], ["a", "b"],
            "Fastest and good enough: a 100×, 12 % wrong.", id="the user's limit",
        ),
        pytest.param(
            [("a", 0.1, 0.12), ("b", 0.2, 0.06)], 0.05, [], [],
            "No recommendation: even b has 6 % wrong, above the 5 % allowed.", id="none within the user's limit",
        ),
        pytest.param(
            [("a", 0.1, 0.9), ("b", 0.2, 0.6)], None, [], [],
            "No recommendation: even b has 60 % wrong, no text here is good enough.", id="all are bad",
        ),
        pytest.param(
            [("a", 0.1, 0.02), ("b", 0.1001, 0.0)], None, ["b"], ["a", "b"],
            "Best text of the fastest (tied): b 99.9×, 0 % wrong.", id="tied, other texts",
        ),
        pytest.param(
            [("a", 0.1, 0.0), ("b", 0.1001, 0.0)], None, ["a", "b"], ["a", "b"],
            "Fastest and good enough: a 100× ≈ b 99.9×, 0 % wrong (tied).", id="tied in both",
        ),
        pytest.param(
            [("a", 0.1, 0.3), ("b", 0.2, 0.02), ("c", 0.2001, 0.0)], None, ["c"], ["b", "c"],
            "Fastest: a 100× but 30 % wrong. Best text of the fastest good ones: c 50.0×, 0 %.", id="good ones tied",
        ),
        pytest.param(
            [("a", 0.1, None), ("b", 0.2, None)], None, [], [],
            "No recommendation: enter the correct text (t, or --reference) to see which is good enough.", id="no text",
        ),
        pytest.param([("a", 0.1, 0.0)], None, ["a"], ["a"], "Good enough: a 100×, 0 % wrong.", id="alone"),
    ],
)  # fmt: skip
def test_the_fastest_with_a_good_text_is_recommended(
    rows: list[tuple[str, float, float | None]], max_wer: float | None, recommended: list[str], good: list[str],
    sentence: str,
) -> None:  # fmt: skip
    ranked, found = decide(*(rated(*facts) for facts in reversed(rows)), max_wer=max_wer)
    assert (list(found.recommended), list(found.good_enough), found.answer) == (recommended, good, sentence)
    assert {r.backend for r in ranked if r.recommended} == set(recommended)


def test_one_run_each_recommends_none_of_the_good_ones() -> None:
    _, found = decide(rated("a", 0.1, 0.0, 1), rated("b", 0.3, 0.0, 1))
    assert (found.recommended, found.good_enough) == ((), ("a", "b"))
    assert found.answer == "No recommendation after one run each: race again with more runs."


def test_without_a_reference_agreement_counts_and_is_called_so() -> None:
    shares = {"a": (0.1, 0.7), "b": (0.2, 0.97)}
    rows = [replace(rated(name, pace, None), agreement=share) for name, (pace, share) in shares.items()]
    _, found = decide(*rows)
    assert found.recommended == ("b",)
    assert found.answer == (
        "Fastest: a 100× but only 70 % agreement with the others. "
        "Fastest good one: b 50.0×, 97 % agreement with the others."
    )


def test_what_nobody_beats_in_both_is_marked() -> None:
    """A row as fast as another, as far as anybody can tell, with a worse text is beaten; an unknown text beats none."""
    facts = [("a", 0.1, 0.2), ("b", 0.1001, 0.1), ("c", 0.2, 0.1), ("d", 0.3, 0.0), ("e", 0.4, 0.0), ("f", 0.05, None)]
    ranked, _ = decide(*(rated(*one) for one in facts))
    assert {r.backend for r in ranked if r.pareto} == {"b", "d"}


def test_only_what_ended_well_is_recommended() -> None:
    wrong = replace(rated("bad", 0.01, 0.0), status="invalid")
    assert decide(wrong, rated("a", 0.1, 0.1))[1].recommended == ("a",)
    assert decide(wrong)[1].answer == ""


def test_toy_models_are_known() -> None:
    built_in, bundled = ModelSpec("embedded", "nano/mlx"), ModelSpec("bundled", "pocketsphinx/en-us")
    for row_, expected in (
        (Row("a", "nano"), True), (Row("a", "nano", spec=built_in), True), (Row("a", "nano", spec=bundled), False),
        (Row("a", "tiny"), False),
    ):  # fmt: skip
        assert nano([row_]) is expected


def heard(name: str, text: str, language: str, **facts: Any) -> Row:
    """A row whose backend said in which language its text is."""
    one = row(name, FAST, text, spec=ModelSpec("hub", f"org/{name}"))
    return replace(one, transcription=Transcription(text, language=language, **facts))


def test_all_rows_count_by_one_language_that_most_detected() -> None:
    rows = (
        heard("takes-english", "schon", "en"),
        heard("says-none", "schon", ""),
        heard("german", "schön", "de", detected=True),
        heard("french", "x", "fr", detected=True),
        heard("german-too", "schön", "de", detected=True),
    )
    judged, language, _ = assess(rows, clip("schön"), None)
    assert (language, [r.wer for r in judged[:3]]) == ("de", [1, 1, 0])
    assert assess(rows, clip("schön"), "en")[1:2] == ("en",)
    assert assess(rows[:1], clip("schön"), None)[1] == "en"
    assert assess(rows[1:2], clip("schön"), None)[1] == ""
    tie = (heard("long", "so many words", "nl", detected=True), heard("short", "one", "fr", detected=True))
    assert assess(tie, clip("x"), None)[1] == assess(tie[::-1], clip("x"), None)[1] == "nl"


def test_a_language_without_spaces_has_a_character_error_rate() -> None:
    (judged,), _, _ = assess([heard("a", "今天天汽", "zh", detected=True)], clip("今天天气"), None)
    assert (judged.rate, judged.wer, judged.wer_published) == ("CER", 0.25, 0.25)


def test_of_many_that_are_alike_three_are_named() -> None:
    rows = [row(f"r{number}", (0.1, 0.1001, 0.0999), "hello there") for number in range(9)]
    found = verdicts.decide([judge(one, clip(), None) for one in rows])[1]
    assert found.answer.endswith("r0 10.0× ≈ r1 10.0× ≈ r2 10.0× ≈ 6 more, 0 % wrong (tied).")
    assert found.sentence.startswith("r0, r1, r2 and 6 more are tied (")
    assert [few(list("abcde"[:count])) for count in (1, 2, 4, 5)] == [
        "a",
        "a ≈ b",
        "a ≈ b ≈ c ≈ d",
        "a ≈ b ≈ c ≈ 2 more",
    ]


LOOP = " ".join(["this is what the machine says to all of us"] * 12)


def looped(name: str, text: str) -> Row:
    return heard(name, text, "en", invalid=Loop("the text repeats itself"))


@pytest.mark.parametrize(
    ("reference", "others", "status"),
    [
        (LOOP, ["something else"], "ok"),
        ("hello there", ["hello there"], "invalid"),
        (None, [LOOP, LOOP], "ok"),
        (None, [LOOP, "hello there", "hello there"], "invalid"),
        (None, [], "invalid"),
    ],
)
def test_speech_that_repeats_itself_is_no_loop(reference: str | None, others: list[str], status: str) -> None:
    rows = [
        looped("a", LOOP),
        *(looped(f"b{i}", t) if t == LOOP else heard(f"b{i}", t, "en") for i, t in enumerate(others)),
    ]
    assert assess(rows, clip(reference), None)[0][0].status == status


def test_a_row_is_judged_anew_by_each_reference() -> None:
    """Entered after the race: a loop is what was said by the one, and none by the other; nothing of before stays."""
    rows = [looped("a", LOOP), heard("b", "hello there", "en")]
    steps = [(None, ["invalid", "ok"]), (LOOP, ["ok", "ok"]), ("hello there", ["invalid", "ok"]), (LOOP, ["ok", "ok"])]
    for reference, expected in steps:
        rows = list(verdicts.decide(assess(rows, clip(reference), None)[0])[0])
        assert [one.status for one in rows] == expected
        assert [one.rank is not None for one in rows] == [status == "ok" for status in expected]
        assert [one.error is None for one in rows] == [status == "ok" for status in expected]
    broken = looped("a", LOOP)
    assert broken.transcription
    broken = replace(broken, transcription=replace(broken.transcription, looping=False, invalid="NaN in the logits"))
    assert assess([broken], clip(LOOP), None)[0][0].status == "invalid"


def test_a_reference_that_cannot_be_this_clips_is_named() -> None:
    rows = [heard("a", "one two three four", "en"), heard("b", "one two four", "en")]
    assert "above 90 %" in assess(rows, clip("das ist ein anderer text"), None)[2][0]
    assert assess(rows, clip("one two three"), None)[2] == ()
    assert "no word" in assess(rows, clip("♪ … ♪"), None)[2][0]


def test_without_a_reference_rows_have_an_agreement() -> None:
    rows = [heard("a", "one two three four", "en"), heard("b", "1 2 3 4", "en"), heard("c", "one two four", "en")]
    judged = assess(rows, clip(None), None)[0]
    assert [r.agreement for r in judged] == [1, 1, 0.75]
    assert all(r.wer is None for r in judged)
