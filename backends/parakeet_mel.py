"""What Parakeet hears: the library's own mel spectrogram on samples that are safe for it, or the one of NeMo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.base import BackendError

if TYPE_CHECKING:
    from backends.nemo_mel import MelSettings

HOP = 160
"""Samples per mel frame. parakeet-mlx 0.6.0 reads past its buffer when a length is no multiple of this, and what lies
there can turn the whole clip into NaN; zeros up to the next multiple prevent it."""

SHORTEST = 2 * HOP
"""Fewer than 257 samples cannot be mirrored at their ends as its Fourier transform wants them: it then damages the
memory of the process, which dies later with "corrupted size vs. prev_size" (seen on CPU)."""

NOT_FINITE = "its mel spectrogram has NaN or infinite numbers: the arithmetic before the model failed"


class MelCheck:
    """Looks at every mel spectrogram that is made. It costs 20 µs a second of audio, so timed runs have it too."""

    def __init__(self) -> None:
        self._good: Any = None

    def look(self, mel: Any) -> None:
        import mlx.core as mx

        good = mx.isfinite(mel).all()
        self._good = good if self._good is None else self._good & good
        mx.eval(self._good)  # left to the end, it would keep the spectrograms of all chunks in memory

    @property
    def invalid(self) -> str:
        """Why the output cannot count, or an empty string."""
        return "" if self._good is None or self._good.item() else NOT_FINITE


def padded(audio: Any) -> Any:
    """An array of samples, shape (n,), with zeros behind it up to a length that the library's mel can take."""
    import mlx.core as mx

    length = audio.shape[0]
    missing = max(SHORTEST - length, -length % HOP)
    return mx.pad(audio, (0, missing)) if missing else audio


@contextmanager
def front_end(exact: MelSettings | None) -> Iterator[MelCheck]:
    """Let all mel spectrograms of the library be safe, for as long as this lasts; with `exact` they are NeMo's.

    NeMo's needs no padding, and its last frame would tell of some: it is given the samples as they are.
    """
    import mlx.core as mx
    import numpy as np
    from parakeet_mlx import parakeet

    from backends.nemo_mel import nemo_mel

    check = MelCheck()
    original = parakeet.get_logmel

    def get_logmel(audio: Any, arguments: Any) -> Any:
        if exact is None:
            mel = original(padded(audio), arguments)
        else:
            mel = mx.array(nemo_mel(np.array(audio, np.float32), exact))[None]
        check.look(mel)
        return mel

    parakeet.get_logmel = get_logmel
    try:
        yield check
    finally:
        parakeet.get_logmel = original


def exact_settings(folder: Path) -> MelSettings:
    """How NeMo makes the mel spectrogram of a model. Raises BackendError where that is not the usual kind."""
    from backends.nemo_mel import settings_of

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return settings_of(config["preprocessor"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackendError(
            f"its exact mel spectrogram is not known ({error})", "take parakeet-mlx as shipped instead", "unsupported"
        ) from error
