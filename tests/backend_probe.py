"""Uses one backend in a process of its own, as a race does, and prints what happened as JSON.

    python -m backend_probe BACKEND PATH [LENGTH ...] [-- PATH [LENGTH ...]] ...

PATH is the model's folder or file, "" for a bundled one. Without LENGTHs (samples of noise, or .npy files of samples)
the demo clip is transcribed three times. The library's own loading functions are counted, and so is every attempt to
reach the network.
Each PATH is used by a fresh backend; what happened is printed as a JSON list in that order.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from backends.base import Backend, BackendError, LoadOptions, Location, TranscribeOptions
from backends.registry import BUILT_IN, create
from speedtest_tui.core.audio.decode import demo_clip

LOADERS = {
    "mlx-whisper": (("mlx_whisper.load_models", "load_model"), ("mlx_whisper.transcribe", "load_model")),
    "whisper-mps": (
        ("whisper_mps.whisper.load_models", "load_model"),
        ("whisper_mps.whisper.transcribe", "load_model"),
    ),
    "parakeet-mlx": (("parakeet_mlx", "from_pretrained"), ("parakeet_mlx.utils", "from_pretrained")),
    "canary-mlx": (("backends.canary.load", "open_folder"),),
    "transformers": (("transformers.modeling_utils", "PreTrainedModel.from_pretrained"),),
    "faster-whisper": (("faster_whisper.transcribe", "WhisperModel.__init__"),),
    "whisper-cpp": (("pywhispercpp.model", "Model.__init__"),),
    "openai-whisper": (("whisper", "load_model"),),
    "pocketsphinx": (("pocketsphinx", "Decoder"),),
}


class Counter:
    """How often the library loaded a model, and how often something reached for the network."""

    def __init__(self) -> None:
        self.loads = 0
        self.connections = 0

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.loads += 1
            return function(*arguments, **named)

        return counted

    def watch(self, backend: str) -> None:
        for module, name in LOADERS[backend]:
            owner: Any = sys.modules[module]
            *path, last = name.split(".")
            for part in path:
                owner = getattr(owner, part)
            original = getattr(owner, last)
            # A class method must go on knowing which class it was called on.
            setattr(
                owner,
                last,
                classmethod(self.wrap(original.__func__)) if hasattr(original, "__func__") else self.wrap(original),
            )

        def refuse(*_: object) -> None:
            self.connections += 1
            raise OSError("no network in tests")

        socket.socket.connect = refuse  # type: ignore[assignment, method-assign]
        socket.getaddrinfo = refuse  # type: ignore[assignment]


def main(name: str, *uses: str) -> list[dict[str, Any]]:
    reference = next(entry.reference for entry in BUILT_IN if entry.name == name)
    create(reference).import_library()
    counter = Counter()
    counter.watch(name)
    groups = itertools.groupby(uses, lambda part: part != "--")
    return [use(create(reference), counter, *group) for is_use, group in groups if is_use]


def use(backend: Backend, counter: Counter, path: str, *lengths: str) -> dict[str, Any]:
    """What happened when a backend was used."""
    counter.loads = counter.connections = 0
    backend.import_library()
    spec = backend.model("nano" if not path.endswith("tiny.pt") else "tiny")
    assert spec is not None
    try:
        loaded = backend.load(spec, Location(Path(path) if path else None), LoadOptions(8 << 30))
    except BackendError as error:
        return {"error": error.message, "hint": error.hint, "kind": error.kind, "connections": counter.connections}
    in_load, counter.loads = counter.loads, 0
    noise = np.random.default_rng(1).normal(0, 0.1, 200_000).astype(np.float32)
    clips = [np.load(one) if one.endswith(".npy") else noise[: int(one)] for one in lengths] or [
        demo_clip().samples
    ] * 3
    language = os.environ.get("PROBE_LANGUAGE") or None
    texts = []
    for samples in clips:
        before = samples.copy()
        texts.append(backend.transcribe(samples, TranscribeOptions(language)))
        backend.synchronize()
        assert np.array_equal(samples, before), "the clip was changed"
    facts = {
        "loaded": asdict(loaded),
        "memory": asdict(backend.device_memory()),
        "loads": [in_load, counter.loads],
        "connections": counter.connections,
        "results": [asdict(text) for text in texts],
    }
    backend.close()
    return facts


if __name__ == "__main__":
    result = main(*sys.argv[1:])
    print("\n" + json.dumps(result))
