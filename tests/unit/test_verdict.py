"""What a finished race means: who counts, who won, and how that may be said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backends.base import Advice, Loaded, ModelSpec, Transcription
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.race.row import Row, RowError, Verdict, rank_mark, relative
from speedtest_tui.core.race.verdict import judge, rank, verdict, weights_of

FAST, SLOW = (0.10, 0.11, 0.10, 0.105, 0.10), (0.30, 0.31, 0.30, 0.305, 0.29)


def clip(reference: str | None = "hello there", speech: bool = True) -> Clip:
    return Clip(np.zeros(16_000, dtype=np.float32), "clip", reference=reference, speech=speech)


def row(name: str, runs: tuple[float, ...], text: str = "hello there", **facts: Any) -> Row:
    """A row that ran to its end, as the supervisor leaves it."""
    spec = facts.pop("spec", ModelSpec("hub", "org/model"))
    loaded = Loaded("cpu", facts.pop("dtype", "float16"), facts.pop("bits", 16.0), 1, spec.source, "", ())
    transcription = Transcription(text, invalid=facts.pop("invalid", ""))
    return replace(Row(name, "tiny", "ended"), runs_s=runs, spec=spec, loaded=loaded, transcription=transcription)


def decide(*rows: Row) -> tuple[tuple[Row, ...], Verdict]:
    ranked = rank([judge(row, clip(), None) for row in rows])
    return ranked, verdict(ranked)


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
    assert rows[0].slower.value == pytest.approx(3.0)
    assert (found.fastest, found.significant) == ("fast", True)
    assert found.sentence.startswith("fast is 3.00× (")
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
    rows, found = decide(row("a", (0.1,)), row("b", (0.3,)))
    assert rows[1].slower is None
    assert found == Verdict(
        "a",
        False,
        "a took 3× less time than b, in one run each: no interval; same weights (model float16)",
        ("a", "b"),
    )


def test_alone() -> None:
    _, found = decide(row("a", FAST))
    assert found == Verdict("a", False, "only a took part: nothing to compare")


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
    assert found.sentence.endswith("not the same model: whisper-tiny-mlx-q4 4.5 bits vs whisper-tiny float16")


def test_nano_is_said_to_rank_overhead() -> None:
    a = row("a", FAST, spec=ModelSpec("embedded", "nano/mlx"))
    b = row("b", SLOW, spec=ModelSpec("embedded", "nano/hf"), dtype="float32", bits=32.0)
    assert "same weights (nano: this ranks overhead, not quality)" in decide(a, b)[1].sentence


def test_names_of_weights() -> None:
    assert weights_of(row("a", FAST, spec=ModelSpec("openai", "https://x/abc/tiny.pt"))) == "tiny.pt float16"
    assert weights_of(row("a", FAST, spec=ModelSpec("bundled", "pocketsphinx/en-us"), dtype="")) == "pocketsphinx"
    assert weights_of(Row("a", "tiny")) == "unknown weights"
