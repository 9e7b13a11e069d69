"""What every child is handed, be it for a race or for a check: its model as plain JSON, its clip as a descriptor."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from backends.base import LoadOptions, Location, ModelSpec, TranscribeOptions
from speedtest_tui.core import host
from speedtest_tui.core.bench.protocol import Assignment


@contextmanager
def shared_samples(data: bytes | memoryview) -> Iterator[int]:
    """A clip's little-endian float32 samples in a nameless file whose descriptor children inherit: nothing is ever left
    of it."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file.fileno()


def assign(
    reference: str,
    spec: ModelSpec,
    location: Location,
    descriptor: int,
    language: str | None = None,
    *,
    chosen: Sequence[tuple[str, str]] = (),
) -> Assignment:
    """Write down what one child is for.

    language: an ISO 639-1 code, or None to let the library detect it
    chosen: options of this backend, as names and values
    """
    return Assignment(
        reference=reference,
        spec={**asdict(spec), "fallback": None},
        location={**asdict(location), "path": location.path and str(location.path)},
        load_options=asdict(LoadOptions(host.total_memory(), tuple(chosen))),
        transcribe_options=asdict(TranscribeOptions(language)),
        clip_descriptor=descriptor,
    )
