"""What users may set for canary-mlx, as `canary-mlx.name=value`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backends.base import BackendError
from backends.parakeet_options import BEAM, Setting

PENALTY = Setting(0, 0, 5)
SWITCH = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}


@dataclass(frozen=True)
class Settings:
    """How Canary is run.

    beam: hypotheses that are kept; 1 is greedy decoding
    length_penalty: of a beam's scores, see `backends.canary.decoding.beam`
    target: the language to translate into, or empty for that which is spoken
    """

    beam: int = 1
    length_penalty: float = 0.0
    punctuation: bool = True
    timestamps: bool = False
    target: str = ""


def read(settings: Settings, chosen: Sequence[tuple[str, str]]) -> Settings:
    """`settings` with what the user chose in its place. Raises BackendError with kind "option"."""
    for name, text in chosen:
        if name not in READERS:
            raise BackendError(f"no option is called {name!r}", f"choose from {', '.join(READERS)}", "option")
        settings = replace(settings, **{name: READERS[name](name, text)})
    return settings


def _switch(name: str, text: str) -> bool:
    value = SWITCH.get(text.lower())
    if value is None:
        raise BackendError(f"option {name} is {text!r}", "give yes or no", "option")
    return value


def _language(name: str, text: str) -> str:
    """A language code, or nothing; whether the model knows it is seen when it is loaded."""
    if text and not (text.isascii() and text.isalpha() and 2 <= len(text) <= 3):
        raise BackendError(f"option {name} is {text!r}", "give a language code, such as de", "option")
    return text.lower()


READERS: dict[str, Callable[[str, str], Any]] = {
    "beam": lambda name, text: int(BEAM.read(name, text)),
    "length_penalty": PENALTY.read,
    "punctuation": _switch,
    "timestamps": _switch,
    "target": _language,
}
