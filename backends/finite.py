"""What to say of a model whose output holds numbers that are none. Backends find them, each in its library's own way.

They look at the output of the first transcription in a process, which is never a timed one. Looking at all weights as
a part of loading would find the same, but on a processor it takes as long as loading itself (measured on two cores:
0.7 s for the 240 million weights of Whisper small, which load in 0.9 s). So the weights are looked at only once the
output is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from backends.base import BackendError

ARITHMETIC = "the model's output has NaN or infinite numbers although its weights have none: its arithmetic failed"

NAMED_MAX = 2
"""Tensors that a sentence names; of a damaged file there may be hundreds."""


def blame(damaged: Sequence[str]) -> str:
    """Why an output is not finite, given the names of the weights that are not: the sentence for an invalid output.

    Raises BackendError with kind "model" where it is the weights.
    """
    if not damaged:
        return ARITHMETIC
    more = f" and {len(damaged) - NAMED_MAX} more" if len(damaged) > NAMED_MAX else ""
    named = f"{', '.join(damaged[:NAMED_MAX])}{more}"
    raise BackendError(f"its weights have NaN or infinite numbers ({named})", "fetch the model again", "model")
