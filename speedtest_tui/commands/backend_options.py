"""Options of single backends: from `--option parakeet-mlx.beam=4` and the settings' [options] to what races get."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from backends.base import BackendEntry, BackendError
from backends.registry import create
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.settings import Reading

Option = tuple[str, str, str]
"""Backend, name and value."""

FORM = "write it as BACKEND.NAME=VALUE, such as parakeet-mlx.beam=4"


def usable(reading: Reading, entries: Sequence[BackendEntry]) -> Reading:
    """Settings without the options of a backend that cannot use them: these are named, and its defaults taken."""
    kept, problems = dict(reading.settings.options), list(reading.problems)
    for backend, options in reading.settings.options.items():
        try:
            options_from(None, {backend: options}, entries)
        except UserError as error:
            del kept[backend]
            problems.append(f"settings, [options.{backend}]: {error}")
    return replace(reading, settings=replace(reading.settings, options=kept), problems=tuple(problems))


def options_from(
    texts: Sequence[str] | None, settings: Mapping[str, Mapping[str, str]], entries: Sequence[BackendEntry]
) -> tuple[Option, ...]:
    """All options, those of `texts` in place of the settings'. Each is shown to its backend first.

    settings: by backend and name; those of backends that are not installed are left alone
    entries: all backends that there are
    Raises UserError for what is no option, or none of that backend, or a value that it cannot use.
    """
    known = {entry.name: entry for entry in entries}
    merged = {backend: dict(options) for backend, options in settings.items() if backend in known}
    for backend, name, value in map(_parsed, texts or ()):
        if backend not in known:
            raise UserError(f"no backend is called {backend!r}", f"choose from {', '.join(known)}")
        merged.setdefault(backend, {})[name] = value
    for backend, options in merged.items():
        _check(known[backend], tuple(options.items()))
    return tuple(_flat(merged))


def _flat(options: Mapping[str, Mapping[str, str]]) -> Iterator[Option]:
    for backend, values in options.items():
        for name, value in values.items():
            yield backend, name, value


def _parsed(text: str) -> Option:
    key, equals, value = text.partition("=")
    backend, dot, name = key.strip().rpartition(".")
    if not (equals and dot and backend and name):
        raise UserError(f"option {text!r}", FORM)
    return backend, name, value.strip()


def _check(entry: BackendEntry, chosen: Sequence[tuple[str, str]]) -> None:
    """Let a backend look at its options. Raises UserError."""
    if not chosen:
        return
    try:
        backend: Any = create(entry.reference)
        check = getattr(backend, "check_options", None)
        if check is None:
            raise UserError(f"{entry.name} has no options to set", "leave its options out")
        check(chosen)
    except BackendError as error:
        raise UserError(f"{error.message} ({entry.name})", error.hint) from error
