"""What takes part in a race is called and means: the only place where a size, a path or BACKEND:MODEL is read.

A name is resolved once, into a candidate that carries the model; whoever comes later uses what it carries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from backends.base import (
    Advice,
    Availability,
    Backend,
    BackendEntry,
    BackendError,
    ModelSpec,
    is_repository,
)
from backends.catalogue import BY_BACKEND, SIZES, sources
from backends.registry import create, default_backends
from backends.registry import entries as registry_entries
from speedtest_tui.core.errors import UserError, alike, unknown
from speedtest_tui.core.models.own import (
    CONVERTED,
    cached,
    converted_models,
    exists,
    folder_of,
    is_there,
    kind_of,
    lies_here,
    name_of_folder,
    path_of,
)

Option = tuple[str, str, str]
"""Backend, name and value: what a single backend is set to."""

OTHER_SIZE = "choose another size, or leave this backend out"


@dataclass(frozen=True)
class Unavailable:
    """Why a backend cannot run a model at all.

    kind: its library is missing; it has no model of that name; its own code fails
    advice: a clause such as "not installed", "no small model", "its own code failed (...)", and what to do
    """

    kind: Literal["not-installed", "no-model", "broken"]
    advice: Advice

    def sentence(self, backend: str) -> str:
        """ "canary-mlx has no small model"."""
        what = self.advice.what
        return {"not-installed": f"{backend} is {what}", "no-model": f"{backend} has {what}"}.get(
            self.kind, f"{backend}: {what}"
        )


@dataclass(frozen=True)
class Candidate:
    """A backend with a model and options: what takes part in a race.

    size: what the model is called: a name of the catalogue, "converted/<name>", "org/name" on the hub, or an absolute
        path
    options: what this backend is set to, as names and values, by name
    model: what the name means for this backend; None until somebody has asked it (`resolved`)
    """

    entry: BackendEntry
    size: str
    options: tuple[tuple[str, str], ...] = ()
    model: ModelSpec | Unavailable | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(sorted(self.options)))

    @property
    def backend(self) -> str:
        """The backend's name."""
        return self.entry.name

    @property
    def name(self) -> str:
        """What only this one of a race is called, as `parse` reads it: "canary-mlx:nano?beam=4"."""
        return f"{self.backend}:{self.size}{'?' if self.options else ''}{written(self.options)}"

    @property
    def lacks_model(self) -> bool:
        """Whether its backend is known to have no model of this name."""
        return isinstance(self.model, Unavailable) and self.model.kind == "no-model"

    def resolved(self) -> Candidate:
        """The same with its model. Never raises: a backend whose own code fails is one that is unavailable."""
        if self.model is not None:
            return self
        try:
            spec = _spec(create(self.entry.reference), self.size)
            found = spec or Unavailable("no-model", Advice(f"no {self.size} model", OTHER_SIZE))
        except Exception as error:
            found = broken(error)
        return replace(self, model=found)


ESCAPES = (("%", "%25"), ("&", "%26"), ("?", "%3F"))
"""What would end a value of an option, and how it is written instead."""


def written(options: Iterable[tuple[str, str]]) -> str:
    """Options as they stand behind the "?" of a candidate's name: "beam=4&chunk_seconds=60"."""
    pairs = dict(options)
    for sign, code in ESCAPES:
        pairs = {name: value.replace(sign, code) for name, value in pairs.items()}
    return "&".join(f"{name}={value}" for name, value in pairs.items())


def parse(text: str, entries: Sequence[BackendEntry]) -> Candidate:
    """What "BACKEND:MODEL" or "BACKEND:MODEL?option=value&option=value" means, resolved.

    Raises UserError for what is not written so, and for a backend, model, option or value that there is not.
    """
    one = named(text, entries)
    check_options(one.entry, one.options)
    (found,) = _meanings(one.size, (one.entry,), [(one.backend, *option) for option in one.options])
    if isinstance(found.model, Unavailable) and found.lacks_model:
        raise UserError(found.model.sentence(one.backend), f"choose from {', '.join(_sizes_of(one.entry))}")
    return found


def named(text: str, entries: Sequence[BackendEntry]) -> Candidate:
    """The same without asking the backend whether it has that model and these options.

    Raises UserError for what is not written so, and for an unknown backend.
    """
    known = {entry.name: entry for entry in entries}
    whole = next((name for name in known if text.startswith(f"{name}:")), text.partition(":")[0])
    backend, rest = whole.strip(), text[len(whole) + 1 :].strip()
    if not (backend and rest):
        raise UserError(f"{text!r} is no BACKEND:MODEL", "write it as in mlx-whisper:small or canary-mlx:nano?beam=4")
    if backend not in known:
        raise unknown("backend", backend, known)
    model, mark, options = rest.rpartition("?")
    if not mark or exists(Path(rest)):
        model, mark, options = rest, "", ""
    return Candidate(known[backend], model.strip(), _options(text, options) if mark else ())


def _options(text: str, options: str) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for part in options.split("&"):
        name, _, value = (word.strip() for word in part.partition("="))
        if not (name and value):
            raise UserError(f"{text!r} sets nothing with {part!r}", "write ?option=value, as in canary-mlx:nano?beam=4")
        if name in found:
            raise UserError(f"{text!r} sets {name} twice", "leave one of them out")
        for sign, code in reversed(ESCAPES):
            value = value.replace(code, sign)
        found[name] = value
    return tuple(found.items())


def _sizes_of(entry: BackendEntry) -> list[str]:
    """The sizes that a backend has a model of."""
    return [one.size for size in SIZES for one in candidates((entry,), size) if not one.resolved().lacks_model]


def check_options(entry: BackendEntry, chosen: Sequence[tuple[str, str]]) -> None:
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


def parts_of(name: str, backends: Iterable[str]) -> tuple[str, str, str]:
    """Backend, model and options of a candidate's name. One of `backends` may have a colon in its own name."""
    backend = next((one for one in backends if name.startswith(f"{one}:")), name.partition(":")[0])
    rest = name.removeprefix(f"{backend}:")
    model, _, options = rest.rpartition("?") if "=" in rest.rpartition("?")[2] else (rest, "", "")
    return backend, model, options


def labels(candidates: Sequence[Candidate | str], backends: Sequence[str] = ()) -> tuple[str, ...]:
    """What people read in a race of these: the backend, with its model where there are several, as short as is clear.

    Options are only said where nothing else tells two apart.
    candidates: themselves or their names; backends: known names of these
    """
    parts = [
        parts_of(one.name, (one.backend,)) if isinstance(one, Candidate) else parts_of(one, backends)
        for one in candidates
    ]
    models = {backend: {model for other, model, _ in parts if other == backend} for backend, _, _ in parts}
    short = {backend: {_last(model) for model in some} for backend, some in models.items()}
    alone = len(set().union(*models.values())) < 2

    def label(backend: str, model: str) -> str:
        clear = len(short[backend]) == len(models[backend])
        return backend if alone else f"{backend} {_last(model) if clear else model}"

    shown = [label(backend, model) for backend, model, _ in parts]
    several = {text for text, count in Counter(shown).items() if count > 1}
    return tuple(
        f"{text} {options.replace('&', ' ')}".strip() if text in several else text
        for text, (*_, options) in zip(shown, parts, strict=True)
    )


def _last(model: str) -> str:
    """The last part of a repository's, folder's or converted model's name."""
    return model.rstrip("/").rpartition("/")[2]


def choose(names: Sequence[str] | None, entries: Sequence[BackendEntry]) -> tuple[BackendEntry, ...]:
    """The entries that `names` asks for, each once and in that order; where it is None, those that race by default.

    Raises UserError for a name that no entry has, and where none is left.
    """
    known = {entry.name: entry for entry in entries}
    for name in names or ():
        if name not in known:
            raise unknown("backend", name, known)
    chosen = default_backends(entries) if names is None else tuple(known[name] for name in dict.fromkeys(names))
    if not chosen:
        raise UserError("no backend chosen", "name one with --backends, or leave the option out for all")
    return chosen


def candidates(
    entries: Iterable[BackendEntry], size: str = SIZES[0], options: Sequence[Option] = ()
) -> tuple[Candidate, ...]:
    """One candidate for each backend, with its own options. No backend is asked: cheap enough for the first frame."""
    return tuple(
        Candidate(entry, size, tuple((name, value) for backend, name, value in options if backend == entry.name))
        for entry in entries
    )


def cross(
    entries: Iterable[BackendEntry], sizes: Sequence[str], options: Sequence[Option] = ()
) -> tuple[Candidate, ...]:
    """The same of several sizes, all of a backend's one after another; those that mean the same model race once."""
    return once(one for entry in entries for size in sizes for one in candidates((entry,), size, options))


def every(entries: Iterable[BackendEntry], options: Sequence[Option] = ()) -> tuple[Candidate, ...]:
    """All sizes of all backends, and what else of their catalogues lies in a cache under a name of its own."""
    found: list[Candidate] = []
    for entry in entries:
        models = BY_BACKEND.get(entry.name, {})
        of_sizes = sources({size: models[size] for size in SIZES if size in models})
        more = [name for name, spec in models.items() if spec.source not in of_sizes and lies_here(spec)]
        found += [one for name in (*SIZES, *more) for one in candidates((entry,), name, options)]
    return tuple(found)


def once(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """The first of those that are one backend's with the same model and options, whatever the model is called."""
    found: dict[object, Candidate] = {}
    for one in candidates:
        model = one.model or BY_BACKEND.get(one.backend, {}).get(one.size)
        source = (model.kind, model.source) if isinstance(model, ModelSpec) else one.size
        found.setdefault((one.backend, source, one.options), one)
    return tuple(found.values())


def resolve(
    texts: Sequence[str], entries: Sequence[BackendEntry], options: Sequence[Option] = ()
) -> tuple[Candidate, ...]:
    """What each of `texts`, as a person typed it, means for each of `entries`; all of a backend's one after another.

    Raises UserError for a text that means nothing, or nothing to any of these backends; a size of the catalogue always
    means something.
    """
    by_text = [_meanings(text, entries, options) for text in texts]
    return tuple(candidate for of_entry in zip(*by_text, strict=True) for candidate in of_entry)


def _meanings(text: str, entries: Sequence[BackendEntry], options: Sequence[Option]) -> tuple[Candidate, ...]:
    """A path wins where it is spelled as one. Of words, what backends know wins over converted models and folders, and
    these over repositories."""
    if text.startswith(("/", "./", "../", "~")) or text.endswith("/") or text in (".", ".."):
        return _read_by_some(text, name_of_folder(path_of(text)), entries, options)
    if text.startswith(CONVERTED):
        if not is_there(text):
            known = [one.size for one in converted_models()]
            if known:
                raise unknown("converted model", text, known)
            raise UserError(f"there is no {text}", "convert a checkpoint first: see `speedtest-tui convert --help`")
        return _read_by_some(text, text, entries, options)
    if is_repository(text):
        if exists(Path(text)):
            return _read_by_some(text, name_of_folder(path_of(text)), entries, options)
        if len(entries) > 1 and not cached(text) and not any(text in sources(one) for one in BY_BACKEND.values()):
            raise UserError(f"which backend reads {text} is not known before it is here", "name it with --backends")
        return _read_by_some(text, text, entries, options)
    found = _all_resolved(entries, text, options)
    if text in SIZES or not all(one.lacks_model for one in found):
        return found
    if is_there(CONVERTED + text):
        return _read_by_some(text, CONVERTED + text, entries, options)
    if text and exists(Path(text)):
        return _read_by_some(text, name_of_folder(path_of(text)), entries, options)
    who = f"{entries[0].name} has no" if len(entries) == 1 else "no backend has a"
    more = [name for entry in entries for name in BY_BACKEND.get(entry.name, {})]
    near = alike(text, dict.fromkeys([*SIZES, *(model.size for model in converted_models()), *more]))
    names = [*SIZES, *(model.size for model in converted_models())]
    todo = (
        f"did you mean {near}?" if near else f"choose from {', '.join(names)}, or name a model's folder or repository"
    )
    raise UserError(f"{who} model of size {text!r}", todo)


def _read_by_some(
    text: str, size: str, entries: Sequence[BackendEntry], options: Sequence[Option]
) -> tuple[Candidate, ...]:
    """Raises UserError where none of the backends reads that model, with those that would."""
    found = _all_resolved(entries, size, options)
    if not all(one.lacks_model for one in found):
        return found
    every = registry_entries()
    others = [one.name for one in _all_resolved(default_backends(every), size, ()) if isinstance(one.model, ModelSpec)]
    everybody = {one.name for one in every} <= {one.name for one in entries}
    who = "no backend" if everybody or len(entries) > 3 else " and ".join(one.name for one in entries)
    path = folder_of(size) or cached(size)
    kind = kind_of(path) if path else "weights of another layout"
    what = f"{who} {'can' if who == 'no backend' else 'cannot'} read {text} ({kind})"
    if others:
        raise UserError(what, f"{' and '.join(others[:2])} can")
    raise UserError(what, "name the folder or repository of another one, or a size")


def _all_resolved(entries: Sequence[BackendEntry], size: str, options: Sequence[Option]) -> tuple[Candidate, ...]:
    return tuple(one.resolved() for one in candidates(entries, size, options))


def _spec(backend: Backend, size: str) -> ModelSpec | None:
    """The model of a name: one of the backend's map, or one in a folder or repository that it can read."""
    if (folder := folder_of(size)) is not None:
        spec = _checked(backend.model(str(folder)))
        # The name, not the path: it says the same on the machine that a result is shown on.
        return None if spec is None or spec.kind != "folder" else replace(spec, source=size)
    if not is_repository(size):
        return _checked(backend.model(size))
    own = sources(getattr(backend, "models", {}))
    if size in own:
        return own[size]
    if (folder := cached(size)) is not None:
        spec = _checked(backend.model(str(folder)))
        return None if spec is None or spec.kind != "folder" else replace(spec, kind="hub", source=size)
    # Of a repository that is not here, its place in another backend's map is all that is known.
    return None if any(size in sources(models) for models in BY_BACKEND.values()) else _checked(backend.model(size))


def _checked(spec: object) -> ModelSpec | None:
    if spec is None or isinstance(spec, ModelSpec):
        return spec
    raise TypeError(f"{type(spec).__name__} instead of a model")


def broken(error: Exception) -> Unavailable:
    """What is said of a backend whose own code failed."""
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return Unavailable(
        "broken",
        Advice(f"its own code failed ({reason})", "report it to those who provide it, or leave this backend out"),
    )


def installed(availability: Availability) -> Unavailable | None:
    """Why a backend cannot run here, whatever the model; None where it can."""
    return None if availability.ok else Unavailable("not-installed", Advice("not installed", availability.fix))
