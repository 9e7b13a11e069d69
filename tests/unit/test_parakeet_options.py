"""What can be set for the Parakeet backends, and what is refused before anything runs."""

from __future__ import annotations

import pytest

from backends.base import BackendError
from backends.parakeet.options import STREAMS, WHOLE_CLIPS, read


def test_defaults_are_those_of_the_library() -> None:
    assert read(WHOLE_CLIPS, ()) == {"chunk_seconds": 120, "overlap_seconds": 15, "beam": 1}
    assert read(STREAMS, ())["left_context"] == read(STREAMS, ())["right_context"] == 256


def test_what_is_chosen_counts() -> None:
    chosen = (("chunk_seconds", "20.5"), ("overlap_seconds", "0"), ("beam", "4"))
    assert read(WHOLE_CLIPS, chosen) == {"chunk_seconds": 20.5, "overlap_seconds": 0, "beam": 4}


@pytest.mark.parametrize(
    ("chosen", "message", "hint"),
    [
        ([("beam", "0")], "option beam is '0'", "give a whole number from 1 to 64"),
        ([("beam", "2.5")], "option beam is '2.5'", "give a whole number from 1 to 64"),
        ([("beam", "many")], "option beam is 'many'", "give a whole number from 1 to 64"),
        ([("chunk_seconds", "0")], "option chunk_seconds is '0'", "give a number from 1 to 3600"),
        ([("chunk_seconds", "nan")], "option chunk_seconds is 'nan'", "give a number from 1 to 3600"),
        ([("overlap_seconds", "-1")], "option overlap_seconds is '-1'", "give a number from 0 to 3600"),
        (
            [("chunk_seconds", "15")],
            "chunks of 15 s would overlap by 15 s",
            "make overlap_seconds smaller than chunk_seconds",
        ),
        (
            [("chunk_seconds", "2"), ("overlap_seconds", "3")],
            "chunks of 2 s would overlap by 3 s",
            "make overlap_seconds smaller than chunk_seconds",
        ),
        (
            [("step_seconds", "1")],
            "no option is called 'step_seconds'",
            "choose from chunk_seconds, overlap_seconds, beam",
        ),
    ],
)
def test_what_cannot_be_set(chosen: list[tuple[str, str]], message: str, hint: str) -> None:
    with pytest.raises(BackendError) as caught:
        read(WHOLE_CLIPS, chosen)
    assert (caught.value.message, caught.value.hint, caught.value.kind) == (message, hint, "option")
