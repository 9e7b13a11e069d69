"""Inspecting models: how each stands in each cache, and what a race would load. Cheap: no network, hashing or loading.

A model is found exactly where `examine` calls it complete: what a check says and what a race loads cannot differ.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from shlex import quote

from backends.base import Advice, BackendEntry, Location, ModelSpec
from backends.catalogue import sizes_of
from backends.registry import create
from speedtest_tui.core.darwin import IN_ICLOUD, opened
from speedtest_tui.core.disk import is_left_by_a_system
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import one_line
from speedtest_tui.core.locations import local_cache
from speedtest_tui.core.models import builtin
from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.models.reading import obstacle
from speedtest_tui.core.models.remembered import fingerprint, libraries, recall
from speedtest_tui.core.models.sizes import OTHER_SIZE, Candidate, Unavailable, broken, installed
from speedtest_tui.core.models.status import (
    CACHE_NAMES,
    CACHES,
    CacheName,
    CacheState,
    ModelReport,
    StateName,
    Verification,
)
from speedtest_tui.core.models.structure import Flaw, tensors_in

States = tuple[tuple[CacheName, CacheState], ...]


class Blocked(Advice):
    """Why a model cannot even be looked for: no download and no repair helps before a person has done what it says."""


@dataclass(frozen=True)
class Begun(Advice):
    """Why a model of which something is there cannot be used."""

    state: StateName = "partial"


WORDS: dict[StateName, str] = {
    "partial": "is incomplete",
    "evicted": IN_ICLOUD,
    "damaged": "is damaged",
    "broken-link": "has a broken link",
    "wrong-layout": "has weights of another layout",
}


# All models that somebody asks about.


def inspect_models(candidates: Iterable[Candidate], cancelled: threading.Event | None = None) -> Iterator[ModelReport]:
    """How the models of candidates stand. Sizes of a backend that mean one model share a report.

    candidates: all of a backend's one after another; those that are not resolved yet are
    A backend without a model of any of the sizes, and one whose own code fails, get one report that says so.
    """
    for entry, group in groupby(candidates, key=lambda one: one.entry):
        asked = tuple(group)
        try:
            for found in _of_backend(entry, asked):
                if cancelled is not None and cancelled.is_set():
                    return
                yield found
        except Exception as error:
            yield _without_model(asked, broken(error))


def _of_backend(entry: BackendEntry, asked: tuple[Candidate, ...]) -> Iterator[ModelReport]:
    unavailable = installed(create(entry.reference).availability())
    found: dict[tuple[str, ...], list[Candidate]] = {}
    lacking: Unavailable | None = None
    for candidate in asked:
        resolved = candidate.resolved()
        if isinstance(spec := resolved.model, ModelSpec):
            found.setdefault(spec.identity, []).append(resolved)
        elif isinstance(spec, Unavailable) and (lacking is None or spec.kind == "broken"):
            lacking = spec
    if not found:
        if lacking is None or lacking.kind == "no-model":
            sizes = " or ".join(one.size for one in asked)
            lacking = unavailable or Unavailable("no-model", Advice(f"no {sizes} model", OTHER_SIZE))
        yield _without_model(asked, lacking)
    for same in found.values():
        spec = same[0].model
        assert isinstance(spec, ModelSpec)
        found_there = inspect_model(entry, spec, tuple(one.size for one in same), unavailable)
        yield replace(found_there, options=same[0].options)


def _without_model(asked: tuple[Candidate, ...], why: Unavailable) -> ModelReport:
    return ModelReport(asked[0].backend, asked[0].size, None, sizes=tuple(one.size for one in asked), unavailable=why)


def inspect_model(
    entry: BackendEntry, spec: ModelSpec, sizes: tuple[str, ...], unavailable: Unavailable | None = None
) -> ModelReport:
    """How one model stands, the one that a backend falls back to included."""
    states = _states(spec)
    location = location_of(spec, states) or _unpacked_on_use(spec, dict(states)["local"])
    fallback = inspect_model(entry, spec.fallback, sizes, unavailable) if spec.fallback else None
    found = ModelReport(entry.name, sizes[0], spec, states, sizes, location, None, fallback, unavailable)
    if location is None and fallback is not None and fallback.location is not None:
        return replace(found, location=fallback.location, verified=fallback.verified)
    return replace(found, verified=_verified(entry, spec, location)) if location else found


def _states(spec: ModelSpec) -> States:
    return tuple((cache, examine(spec, cache)) for cache in CACHES)


def _unpacked_on_use(spec: ModelSpec, local: CacheState) -> Location | None:
    """An embedded model can always be raced: what is missing or damaged of it is unpacked again. No path until then."""
    if spec.kind != "embedded" or spec.missing_reason or local.state == "not-applicable" or local.obstacle:
        return None
    return Location(None, cache="embedded")


def _verified(entry: BackendEntry, spec: ModelSpec, location: Location) -> Verification | None:
    """What came of loading this model from where it lies; stale where its files or libraries have changed since."""
    # Most models were never loaded: the fingerprint, which asks for versions, is for the others only.
    if recall(entry.name, location.path, "") is None:
        return None
    return recall(entry.name, location.path, fingerprint(spec, location, libraries(entry, spec)))


# One model, to be loaded.


def find(spec: ModelSpec, cancelled: threading.Event, options: str = "") -> Location | Advice:
    """Find a model wherever it may be, or say why it cannot be used; an embedded one is unpacked on first use.

    options: as for `explained`
    """
    if spec.kind == "embedded" and not spec.missing_reason:
        return _unpacked(spec, cancelled)
    return locate(spec, options)


def locate(spec: ModelSpec, options: str = "") -> Location | Advice:
    """The same without unpacking anything."""
    states = _states(spec)
    return location_of(spec, states) or explained(spec, states, options)


def _unpacked(spec: ModelSpec, cancelled: threading.Event) -> Location | Advice:
    """The folder of an embedded model, from the local cache or freshly made."""
    folder = builtin.find(spec.source, local_cache())
    if folder is None:
        if blocked := obstacle(local_cache()):
            return Blocked(blocked.detail, blocked.todo)
        try:
            folder = builtin.unpack_apart(spec.source, local_cache(), cancelled)
        except UserError as error:
            return Advice(f"the built-in model cannot be unpacked ({error.what})", error.todo)
    if folder is None:
        return Advice("the built-in model was not unpacked", "it was cancelled")
    size = sum(file.stat().st_size for file in folder.iterdir())
    return Location(folder.absolute(), folder.parent.name, "embedded", size)


def location_of(spec: ModelSpec, states: States) -> Location | None:
    """Where a model would be loaded from, given how it stands in each cache; None where it cannot be."""
    if spec.missing_reason:
        return None
    if spec.kind == "bundled":
        return Location(None, cache="bundled")
    for cache, state in states:
        if state.state == "complete" and state.path is not None:
            name = "embedded" if spec.kind == "embedded" else cache
            return Location(state.path, state.revision, name, state.bytes)
    return None


def explained(spec: ModelSpec, states: States, options: str = "") -> Advice:
    """Say why a model is complete in no cache, and what to do about it.

    options: which name this model to a command ("--size tiny --backends a"); those of the catalogue where empty
    """
    if spec.missing_reason:
        return Advice(spec.missing_reason, OTHER_SIZE)
    if spec.kind == "folder":
        detail = "; ".join(sentence(state) for _, state in states if state.state in WORDS)
        if blocked := next(filter(None, (state.obstacle for _, state in states)), None):
            return Blocked(blocked.detail, blocked.todo)
        return Advice(f"{spec.source} {detail or 'is not there'}", "convert it again, or choose another size")
    options = options or options_for(spec)
    name = name_of(spec)
    begun = [(cache, state) for cache, state in states if state.state in WORDS]
    if not begun:
        return Advice(f"{name} is not downloaded", f"run {command('download', options)}")
    if (blocked := begun[0][1].obstacle) and all(state.obstacle for _, state in begun):
        return Blocked(blocked.detail, blocked.todo)
    others = [other_layout(spec, state, options) for _, state in begun]
    if others[0] is not None and None not in others:
        return others[0]
    found = "; ".join(f"{CACHE_NAMES[cache]} cache: {sentence(state)}" for cache, state in begun)
    state = begun[0][1].state
    return Begun(f"{name} {WORDS[state]} ({found})", f"run {command('repair', options)}", state)


def other_layout(spec: ModelSpec, state: CacheState, options: str) -> Advice | None:
    """What a person can do about weights in another layout; None where it is another fault, or a repair helps."""
    if state.state != "wrong-layout":
        return None
    ready = spec.fallback is not None and location_of(spec.fallback, _states(spec.fallback)) is not None
    download = command("download", options)
    return find_other_layout(spec, state).advice(spec, state, download, fallback_ready=ready)


def sentence(state: CacheState) -> str:
    """What is wrong with a model in one cache: "1 of 2 files, 37 of 483 MB: weights.safetensors is missing"."""
    if state.state != "partial" or not state.faults:
        return state.detail
    # The figures of an unfinished file are in those of the whole.
    faults = (
        f"{one_line(fault.name)} is unfinished" if fault.kind == "missing-file" and fault.bytes else fault.detail
        for fault in state.faults
    )
    return f"{state.detail}: {', '.join(faults)}"


def name_of(spec: ModelSpec) -> str:
    """A model as sentences name it: the repository, or the one file that it is."""
    return spec.files[0].names[0] if (spec.kind == "openai" or spec.shared) and spec.files else spec.source


def options_for(spec: ModelSpec) -> str:
    """What names this one model to a command, as far as the catalogue knows it."""
    backend, size = sizes_of(spec)
    return options_of(backend, size) if backend else ""


def options_of(backend: str, size: str) -> str:
    """What names a backend's model to a command: "--size tiny --backends mlx-whisper"."""
    return f"--size {quote(size)} --backends {backend}"


def command(verb: str, options: str) -> str:
    """What to type."""
    return f"`{' '.join(filter(None, ('speedtest-tui', verb, options)))}`"


# Weights under another name than the backend reads: their header says, without loading them, whether a link by that
# name is all that is missing. A check and a repair both ask here, so that they cannot contradict each other.

MLX_WEIGHTS = "weights.safetensors"
MLX_NAMES = ("encoder.conv1.weight", "decoder.token_embedding.weight", "encoder.blocks.0.mlp1.weight")
"""Tensors of every Whisper that mlx-whisper 0.4 reads; OpenAI's own file has `mlp.0`, transformers has `layers`."""
CONVOLUTION_WIDTH = 3
"""Of Whisper's first layer: MLX stores it in the middle, PyTorch at the end."""


@dataclass(frozen=True)
class OtherLayout:
    """The weights that are there, or None; and why the backend cannot read them: the end of a sentence, or ""."""

    present: Path | None = None
    unfit: str = ""

    def advice(self, spec: ModelSpec, state: CacheState, download: str, *, fallback_ready: bool) -> Advice | None:
        """What a person can do where a link does not help; None where a repair makes that link.

        download: the command that downloads the model, or its fallback
        """
        name = spec.source
        if self.present is None:
            return Advice(f"{name}: {state.detail}", f"run {download}")
        if not self.unfit:
            return None
        what = f"mlx-whisper cannot read {self.present.name} of {name}: it {self.unfit}"
        if spec.fallback is None:
            return Advice(what, "choose another size for mlx-whisper")
        if fallback_ready:
            return Advice(what, f"nothing to do: {spec.fallback.source} is used instead")
        return Advice(what, f"download {spec.fallback.source} instead: {download}")


def find_other_layout(spec: ModelSpec, state: CacheState) -> OtherLayout:
    """Look for weights that mlx-whisper may read, in the folder of a model whose status is "wrong-layout"."""
    wanted = next((file.names for file in spec.files if MLX_WEIGHTS in file.names), ())
    if state.path is None or not wanted:
        return OtherLayout()
    faulty = [file.fault.path for file in state.files if file.fault and file.fault.kind == "wrong-layout"]
    for path in (*faulty, state.path / "model.safetensors", *sorted(state.path.glob("*.safetensors"))):
        ours = path.suffix == ".safetensors" and not is_left_by_a_system(path.name)
        if ours and path.name not in wanted and path.is_file():
            return OtherLayout(path, _unfit(path))
    return OtherLayout()


def _unfit(weights: Path) -> str:
    """Why mlx-whisper could not read these weights; "" where it can."""
    try:
        with opened(weights) as file:
            _, header = tensors_in(file, weights.name, 0)
    except (OSError, Flaw):
        return "cannot be read as safetensors"
    tensors = {name: entry for name, entry in header.items() if isinstance(entry, dict)}
    if any(name.startswith("model.encoder.layers.") for name in tensors):
        return "has its weights under transformers' names"
    if missing := [name for name in MLX_NAMES if name not in tensors]:
        return f"has no {missing[0]}: it is not Whisper as MLX keeps it"
    shape = tensors[MLX_NAMES[0]].get("shape", [])
    if not isinstance(shape, list) or len(shape) != 3 or shape[1] != CONVOLUTION_WIDTH:
        return "has its weights in PyTorch's order"
    return ""
