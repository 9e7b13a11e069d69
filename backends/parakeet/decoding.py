"""From samples to a mel spectrogram, the library's own or NeMo's, to tokens, and from those to words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from backends import checks
from backends.base import SAMPLE_RATE, BackendError, Segment

if TYPE_CHECKING:
    from backends.base import Samples
    from backends.nemo_mel import MelSettings


Result = TypeVar("Result")


def decoding(model: Any, beam: int) -> Any:
    """The library's description of a search. Raises BackendError where the model's family has no beam search."""
    from parakeet_mlx.parakeet import Beam, DecodingConfig, Greedy, ParakeetTDT

    if beam == 1:
        return DecodingConfig(decoding=Greedy())
    if not isinstance(model, ParakeetTDT):
        family = type(model).__name__.removeprefix("Parakeet")
        raise BackendError(
            f"parakeet-mlx has a beam search for TDT models only, and this one is of the kind {family}",
            "leave the option beam out",
            "option",
        )
    return DecodingConfig(decoding=Beam(beam_size=beam))


def transcribe_array(model: Any, samples: Samples, chunk_seconds: float, overlap_seconds: float, config: Any) -> Any:
    """The library's own `transcribe`, chunking included, on samples instead of a file.

    It takes paths only and would run ffmpeg on them; what it calls to read a path is replaced by what hands over the
    samples. It refuses fewer than HOP of them.
    """
    import mlx.core as mx
    import numpy as np
    from parakeet_mlx import parakeet

    array = mx.array(np.pad(samples, (0, max(0, HOP - len(samples)))))

    def samples_of(_path: object, sampling_rate: int, _dtype: object = None) -> Any:
        if sampling_rate != SAMPLE_RATE:
            raise BackendError(f"the model wants {sampling_rate} Hz; clips have {SAMPLE_RATE} Hz", kind="model")
        return array

    original, parakeet.load_audio = parakeet.load_audio, samples_of
    try:
        return model.transcribe(
            "clip", decoding_config=config, chunk_duration=chunk_seconds, overlap_duration=overlap_seconds
        )
    finally:
        parakeet.load_audio = original


def looked_at(model: Any, hear: Callable[[], Result]) -> tuple[Result, str]:
    """What `hear` returns, and why it cannot count: the arg max of NaN is a token like any other.

    Raises BackendError with kind "model" where the weights are to blame.
    """
    import mlx.core as mx
    from mlx.utils import tree_flatten

    # What decides on tokens: the joint network of transducers, the only decoder of CTC models.
    last = type(model.joint if "joint" in model else model.decoder)
    original = last.__call__
    good = mx.array(True)

    def watched(module: Any, *arguments: Any) -> Any:
        nonlocal good
        output = original(module, *arguments)
        good = good & mx.isfinite(output).all()
        mx.eval(good)  # left to the end, it would keep every step's output in memory
        return output

    last.__call__ = watched
    try:
        result = hear()
    finally:
        last.__call__ = original
    if good.item():
        return result, ""
    weights = tree_flatten(model.parameters())
    return result, checks.blame([name for name, weight in weights if not mx.isfinite(weight).all().item()])


def segments(result: Any, seconds: float) -> tuple[Segment, ...]:
    """The sentences of a result, none of which ends behind a clip of `seconds`."""
    return tuple(_segment(sentence.text, sentence.start, sentence.end, seconds) for sentence in result.sentences)


def words(result: Any, seconds: float) -> tuple[Segment, ...]:
    """The words of a result: each from the start of its first token to the end of its last."""
    return tuple(
        _segment(text, group[0].start, group[-1].end, seconds)
        for group in _groups(chain.from_iterable(sentence.tokens for sentence in result.sentences))
        if (text := "".join(token.text for token in group)).strip()
    )


def _groups(tokens: Iterator[Any]) -> Sequence[list[Any]]:
    """Tokens by word: a space at its beginning makes a token the first of one."""
    groups: list[list[Any]] = []
    for token in tokens:
        if not groups or token.text.startswith(" "):
            groups.append([])
        groups[-1].append(token)
    return groups


def _segment(text: str, start: float, end: float, seconds: float) -> Segment:
    return Segment(min(float(start), seconds), min(float(end), seconds), text.strip())


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
    from backends.catalogue import read_config
    from backends.nemo_mel import settings_of

    try:
        config = read_config(folder)
        return settings_of(config["preprocessor"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackendError(
            f"its exact mel spectrogram is not known ({error})", "take parakeet-mlx as shipped instead", "unsupported"
        ) from error
