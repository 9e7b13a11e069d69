"""Finding the files of one model in whichever cache holds them whole, without loading or fetching anything.

A model is found exactly where `examine` calls it complete: what a check says and what a race loads cannot differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from backends.base import Location, ModelSpec
from backends.catalogue import sizes_of
from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.models.status import CACHE_NAMES, CACHES, CacheName, CacheState, StateName

WORDS: dict[StateName, str] = {
    "partial": "is incomplete",
    "damaged": "is damaged",
    "broken-link": "has a broken link",
    "wrong-layout": "has weights of another layout",
}


@dataclass(frozen=True)
class NotFound:
    """Why a model cannot be used from disk: the sentence, and what to do."""

    reason: str
    hint: str


def locate(spec: ModelSpec) -> Location | NotFound:
    """Find a model. An embedded one is found where it is unpacked: `core.models.builtin` does that."""
    states = tuple((cache, examine(spec, cache)) for cache in CACHES)
    return location_of(spec, states) or explained(spec, states)


def location_of(spec: ModelSpec, states: tuple[tuple[CacheName, CacheState], ...]) -> Location | None:
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


def explained(spec: ModelSpec, states: tuple[tuple[CacheName, CacheState], ...], options: str = "") -> NotFound:
    """Say why a model is complete in no cache, and what to do about it.

    options: which name this model to a command ("--size tiny --backends a"); those of the catalogue where empty
    """
    if spec.missing_reason:
        return NotFound(spec.missing_reason, "choose another size, or leave this backend out")
    if spec.kind == "folder":
        detail = "; ".join(sentence(state) for _, state in states if state.state in WORDS)
        return NotFound(f"{spec.source} {detail or 'is not there'}", "convert it again, or choose another size")
    options = options or options_for(spec)
    name = name_of(spec)
    begun = [(cache, state) for cache, state in states if state.state in WORDS]
    if not begun:
        return NotFound(f"{name} is not on this machine", f"fetch it: {command('download', options)}")
    found = "; ".join(f"{CACHE_NAMES[cache]} cache: {sentence(state)}" for cache, state in begun)
    return NotFound(f"{name} {WORDS[begun[0][1].state]} ({found})", f"mend it: {command('repair', options)}")


def sentence(state: CacheState) -> str:
    """What is wrong with a model in one cache: "1 of 2 files, 37 of 483 MB: weights.safetensors is missing"."""
    if state.state != "partial" or not state.faults:
        return state.detail
    # The figures of a single file are in those of the whole.
    return f"{state.detail}: {', '.join(fault.detail.partition(': ')[0] for fault in state.faults)}"


def name_of(spec: ModelSpec) -> str:
    """A model as sentences name it: the repository, or the .pt file."""
    return spec.files[0].names[0] if spec.kind == "openai" and spec.files else spec.source


def options_for(spec: ModelSpec) -> str:
    """What names this one model to a command, as far as the catalogue knows it."""
    backend, size = sizes_of(spec)
    return f"--size {size} --backends {backend}" if backend else ""


def command(verb: str, options: str) -> str:
    """What to type."""
    return f"`{' '.join(filter(None, ('speedtest-tui', verb, options)))}`"
