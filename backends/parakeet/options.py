"""What users may set for the Parakeet backends: how long clips are cut, how tokens are searched, how audio comes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from backends.base import BackendError, no_such_option

LEAST_STEP_SECONDS = 0.1
"""A chunk must bring at least this much that the one before did not have. Without any the library fails or, worse,
returns an empty text without a word."""


@dataclass(frozen=True)
class Setting:
    """A number that can be set; `whole` ones have no decimals."""

    default: float
    lowest: float
    highest: float
    whole: bool = False

    def read(self, name: str, text: str) -> float:
        """The value that a user wrote. Raises BackendError with kind "option"."""
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not (isfinite(value) and self.lowest <= value <= self.highest) or (self.whole and value != int(value)):
            kind = "a whole number" if self.whole else "a number"
            raise BackendError(
                f"option {name} is {text!r}", f"give {kind} from {self.lowest:g} to {self.highest:g}", "option"
            )
        return value


BEAM = Setting(1, 1, 64, whole=True)
"""Hypotheses that are kept; 1 is greedy decoding."""

WHOLE_CLIPS = {
    # The defaults of the library's command line; longer pieces run out of memory on small machines (parakeet-mlx#4).
    "chunk_seconds": Setting(120, 1, 3600),
    "overlap_seconds": Setting(15, 0, 3600),
    "beam": BEAM,
}

STREAMS = {
    "step_seconds": Setting(1, 0.1, 30),
    # Encoder frames of 80 ms to either side, as the library's own default has them.
    "left_context": Setting(256, 1, 4096, whole=True),
    "right_context": Setting(256, 1, 4096, whole=True),
    "beam": BEAM,
}


def read(settings: Mapping[str, Setting], chosen: Sequence[tuple[str, str]]) -> dict[str, float]:
    """All settings with what the user chose in place of the defaults. Raises BackendError with kind "option"."""
    values = {name: setting.default for name, setting in settings.items()}
    for name, text in chosen:
        if name not in settings:
            raise no_such_option(name, settings)
        values[name] = settings[name].read(name, text)
    if "chunk_seconds" in values and values["chunk_seconds"] - values["overlap_seconds"] < LEAST_STEP_SECONDS:
        raise BackendError(
            f"chunks of {values['chunk_seconds']:g} s would overlap by {values['overlap_seconds']:g} s",
            "make overlap_seconds smaller than chunk_seconds",
            "option",
        )
    return values
