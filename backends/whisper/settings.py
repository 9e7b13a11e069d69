"""What users may set for a Whisper backend: a default, and choices or a range of whole numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.base import BackendError, no_such_option

Setting = tuple[str, tuple[str, ...] | range]
"""The default, and what may be chosen."""

SWITCH = ("off", "on")


def read(settings: Mapping[str, Setting], chosen: Sequence[tuple[str, str]]) -> dict[str, str]:
    """All settings with what the user chose in place of the defaults. Raises BackendError with kind "option"."""
    values = {name: default for name, (default, _) in settings.items()}
    for name, text in chosen:
        if name not in settings:
            raise no_such_option(name, settings)
        allowed = settings[name][1]
        if isinstance(allowed, range):
            if not (text.isascii() and text.isdecimal() and int(text) in allowed):
                todo = f"give a whole number from {allowed[0]} to {allowed[-1]}"
                raise BackendError(f"option {name} is {text!r}", todo, "option")
        elif text not in allowed:
            raise BackendError(f"option {name} is {text!r}", f"choose from {', '.join(allowed)}", "option")
        values[name] = text
    return values
