"""Which backends there are: the built-in ones, and those that installed packages register.

A third-party package registers through the entry-point group `speedtest_tui.backends`; the entry point names a callable
without arguments that returns an object of the protocol in `backends.base`.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from backends.base import Backend, BackendEntry, BackendError

ENTRY_POINT_GROUP = "speedtest_tui.backends"

BUILT_IN = (
    BackendEntry("mlx-whisper", "backends.whisper.mlx:MlxWhisper"),
    BackendEntry("parakeet-mlx", "backends.parakeet.mlx:ParakeetMlx"),
    BackendEntry("parakeet-mlx-exact", "backends.parakeet.mlx:ParakeetExact", optional=True),
    BackendEntry("parakeet-mlx-stream", "backends.parakeet.streaming:ParakeetStream", optional=True),
    BackendEntry("canary-mlx", "backends.canary.mlx:CanaryMlx"),
    BackendEntry("whisper-mps", "backends.whisper.mps:WhisperMps"),
    BackendEntry("transformers", "backends.whisper.transformers:TransformersWhisper"),
    BackendEntry("faster-whisper", "backends.whisper.faster:FasterWhisper"),
    BackendEntry("whisper-cpp", "backends.whisper.cpp:WhisperCpp"),
    BackendEntry("openai-whisper", "backends.whisper.openai:OpenAIWhisper", optional=True),
    BackendEntry("pocketsphinx", "backends.pocketsphinx:PocketSphinx"),
    BackendEntry("whisperkit", "backends.programs:WhisperKit", optional=True),
    BackendEntry("fluidaudio", "backends.programs:FluidAudio", optional=True),
    BackendEntry("apple-speech", "backends.programs:AppleSpeech", optional=True),
)


def entries() -> tuple[BackendEntry, ...]:
    """All backends, the built-in ones first; a third-party one cannot take a built-in name."""
    from importlib.metadata import entry_points

    found = {entry.name: entry for entry in BUILT_IN}
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        provider = point.dist.name if point.dist else "unknown"
        found.setdefault(point.name, BackendEntry(point.name, point.value, provider))
    return tuple(found.values())


def default_backends(entries: Iterable[BackendEntry]) -> tuple[BackendEntry, ...]:
    """Those that take part without being named. The others run the same models in another way."""
    return tuple(entry for entry in entries if not entry.optional)


def create(reference: str) -> Backend:
    """Make the backend that "module:attribute" names.

    Raises BackendError with kind "unavailable" where that cannot be imported or called.
    """
    module, _, attribute = reference.partition(":")
    try:
        factory = getattr(import_module(module), attribute)
        backend: Backend = factory()
    except Exception as error:
        raise BackendError(
            f"its module {module!r} cannot be used ({type(error).__name__}: {error})",
            "reinstall or remove the package that provides it",
            "unavailable",
        ) from error
    return backend
