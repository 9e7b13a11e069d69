"""From what is typed to what is meant: the models that a command is about, and the plan of a race.

`run`, the dashboard, `check-models`, `download` and `repair` understand --size and --backends alike, because all of
them ask here. Options of single backends: from `--option parakeet-mlx.beam=4` and the settings' [options] to what
races get.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from backends import registry
from backends.base import BackendEntry
from backends.catalogue import SIZES
from speedtest_tui.cli.arguments import DEMO_RUNS, backend_names, size_names
from speedtest_tui.core.errors import UserError, unknown
from speedtest_tui.core.models.sizes import (
    Candidate,
    Option,
    check_options,
    choose,
    cross,
    every,
    named,
    once,
    parse,
    resolve,
)
from speedtest_tui.core.race.plan import DEFAULT_STALL_S, DEFAULT_WARMUP, PULSE, Plan
from speedtest_tui.core.settings import Reading, Settings, load, percent


def asked_for(
    options: argparse.Namespace, sizes: Sequence[str], set_to: Sequence[Option] = ()
) -> tuple[Candidate, ...]:
    """What --backends and `sizes`, as they were typed, mean: every backend with its models, resolved.

    Without --backends what there is no model for is left out: nobody asked for it.
    Raises UserError for a backend or a size that is none.
    """
    names = backend_names(options.backends)
    texts = [name for text in sizes for name in size_names(text)]
    found = resolve(texts, choose(names, registry.entries()), set_to)
    return found if names is not None else tuple(one for one in found if not one.lacks_model)


def all_asked_for(options: argparse.Namespace) -> tuple[Candidate, ...]:
    """The same of all sizes, and of what else of the catalogue lies in a cache."""
    names = backend_names(options.backends)
    found = tuple(one.resolved() for one in every(choose(names, registry.entries())))
    return found if names is not None else tuple(one for one in found if not one.lacks_model)


def shortlisted(options: argparse.Namespace) -> tuple[str, ...]:
    """The names of candidates that --shortlist stands for. Raises UserError for a list that there is not."""
    if options.shortlist is None:
        return ()
    lists = {name: names for name, names in load().settings.shortlists.items() if names}
    if not lists:
        raise UserError("there is no shortlist yet", "keep a choice in the dashboard: b, then w")
    if options.shortlist not in lists:
        raise unknown("shortlist", options.shortlist, lists)
    return lists[options.shortlist]


def named_models(options: argparse.Namespace) -> tuple[Candidate, ...]:
    """What --shortlist and --model name, with the --option that they do not set themselves, each once.

    Raises UserError for what is no candidate.
    """
    texts = (*shortlisted(options), *(options.model or ()))
    entries = registry.entries() if texts else ()
    found = list({one.name: one for one in (parse(text, entries) for text in texts)}.values())
    typed = options_from(options.option, {}, entries) if found else ()
    return tuple(
        replace(
            one,
            options=tuple(
                {**{name: value for who, name, value in typed if who == one.backend}, **dict(one.options)}.items()
            ),
        )
        for one in found
    )


def plan_from(options: argparse.Namespace, settings: Settings | None = None, *, at_once: bool = False) -> Plan:
    """The plan of a race: what is typed, else the settings, else the defaults.

    at_once: ask neither installed packages for backends nor backends for models, unless a name makes it necessary. That
    takes time before the first frame; the plan's candidates are resolved when they race
    Raises UserError for a size, backend or option that nobody knows, and for counts out of range.
    """
    settings = settings or Settings()
    typed, models = options.size is not None or options.backends is not None, named_models(options)
    if options.backends is None and settings.backends:
        options = argparse.Namespace(**{**vars(options), "backends": ",".join(settings.backends)})
    sizes = size_names(options.size) if options.size is not None else [settings.size]
    known = known_for(options) if at_once else registry.entries()
    set_to = options_from(options.option, settings.options, known)
    chosen: tuple[Candidate, ...] = ()
    if models and not typed:
        pass  # they are all that races
    elif settings.candidates and not typed:
        chosen = tuple(named(text, registry.entries()) for text in settings.candidates)
    elif at_once and known is registry.BUILT_IN and (options.size is None or set(sizes) <= set(SIZES)):
        chosen = cross(choose(backend_names(options.backends), known), sizes, set_to)
    else:
        chosen = once(asked_for(options, sizes, set_to))

    def given(name: str, default: Any) -> Any:
        value = getattr(options, name, None)
        return default if value is None else value

    return Plan(
        (*chosen, *models),
        runs=given("runs", DEMO_RUNS if options.demo else settings.runs),
        warmup=given("warmup", DEFAULT_WARMUP),
        order=given("order", "interleaved"),
        pulse=given("pulse", PULSE),
        language=_language(given("language", settings.language or None)),
        stall_s=given("timeout", DEFAULT_STALL_S),
        max_wer=_share(given("max_wer", settings.max_wer)),
    )


def known_for(options: argparse.Namespace) -> tuple[BackendEntry, ...]:
    """The built-in backends, or all that there are where an option names another one."""
    names = {*(backend_names(options.backends) or ()), *(_parsed(text)[0] for text in options.option or ())}
    built_in = registry.BUILT_IN
    return built_in if names <= {entry.name for entry in built_in} else registry.entries()


def _share(value: float | None) -> float | None:
    """A percentage as a share of 1."""
    if value is None:
        return None
    try:
        return percent(value) / 100
    except ValueError:
        raise UserError(f"--max-wer takes a percentage, not {value:g}", "choose 0 to 100") from None


def _language(code: str | None) -> str | None:
    """A two- or three-letter code, or None for detection ("auto")."""
    if code is None or code.lower() == "auto":
        return None
    if not (code.isascii() and code.isalpha() and 2 <= len(code) <= 3):
        raise UserError(
            f"--language takes a code, not {code!r}", "give one such as en or de, or leave it out to detect it"
        )
    return code.lower()


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
            raise unknown("backend", backend, known)
        merged.setdefault(backend, {})[name] = value
    for backend, options in merged.items():
        check_options(known[backend], tuple(options.items()))
    return tuple(_flat(merged))


def _flat(options: Mapping[str, Mapping[str, str]]) -> Iterator[Option]:
    for backend, values in options.items():
        for name, value in values.items():
            yield backend, name, value


def _parsed(text: str) -> Option:
    key, equals, value = text.partition("=")
    backend, dot, name = key.strip().rpartition(".")
    if not (equals and dot and backend and name):
        raise UserError(f"--option takes BACKEND.NAME=VALUE, not {text!r}", "as in parakeet-mlx.beam=4")
    return backend, name, value.strip()
