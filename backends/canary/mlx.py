"""canary-mlx: NVIDIA's Canary models on MLX, with NeMo's exact mel spectrogram.

With the prompts that Canary was trained with, `canary` (canary-1b) and `canary2` (flash models and v2); the times of
words, from the `<|n|>` tokens that models of the canary2 prompt write; and the options that users may set.

Clips of any length are cut into pieces of less than 40 s, which is what Canary was trained on; longer ones make it
loop. Pieces are cut where it is quiet and overlap a little, so that no word is heard only in halves. What two pieces
heard of their overlap is put together at the words on which they agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backends import catalogue, mlx_runtime
from backends.base import (
    SAMPLE_RATE,
    Availability,
    BackendError,
    Loaded,
    LoadOptions,
    Location,
    ModelSpec,
    RequiredFile,
    Segment,
    TranscribeOptions,
    Transcription,
    mlx_library,
    no_such_option,
)
from backends.canary.architecture import layout_of
from backends.canary.tokenizers import Vocabulary, tokenizer_files
from backends.checks import repetition_loop
from backends.parakeet.options import BEAM, Setting

if TYPE_CHECKING:
    from pathlib import Path

    from backends.base import Samples
    from backends.canary.decoding import Written
    from backends.canary.load import Opened


SHORTEST_FRAMES = 16
"""Mel frames (10 ms) below which nothing can be heard and nothing is computed."""

LONGEST_SECONDS = 30.0
"""Of one piece, its overlaps included."""

SEARCH_SECONDS = 8.0
"""How far before the longest piece's end a quiet place is looked for."""

OVERLAP_SECONDS = 2.0
QUIET_SECONDS = 0.2
WORDS_PER_SECOND = 5
"""People speak 2 to 4; more words than this per second of overlap are not compared."""


class CanaryMlx(mlx_runtime.OnMlx):
    """Canary v1, flash and v2: a FastConformer encoder and a Transformer decoder that is told the languages."""

    name = "canary-mlx"
    summary = "NVIDIA Canary on MLX"
    models = catalogue.CANARY_MLX
    layout = catalogue.CANARY_FILES
    imports = ("mlx.nn", "parakeet_mlx.conformer", "backends.canary.load", "backends.canary.model")
    _model: Opened | None

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()

    def availability(self) -> Availability:
        # The encoder is parakeet-mlx's; the rest is in this package.
        return mlx_library("parakeet_mlx", "parakeet-mlx")

    def found_at(self, path: Path) -> ModelSpec | None:
        config = catalogue.folder_config(path)
        try:
            layout_of(config)
        except BackendError:
            return None
        more = (RequiredFile((name,)) for name in dict.fromkeys(tokenizer_files(config.get("tokenizer"))))
        return catalogue.folder_model(path, config, (*catalogue.CANARY_FILES[:2], *more))

    def check_options(self, chosen: Sequence[tuple[str, str]]) -> None:
        """As `backends.base.Configurable`."""
        read(self.settings, chosen)

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        from backends.canary.load import open_folder

        self.settings = read(self.settings, options.chosen)
        folder = self.path_of(location)
        opened = open_folder(folder)
        if opened.mel.sample_rate != SAMPLE_RATE:
            wanted = opened.mel.sample_rate
            raise BackendError(f"the model wants {wanted} Hz; clips have {SAMPLE_RATE} Hz", kind="model")
        self._model = opened
        target = self.settings.target or "as spoken"
        facts = (
            ("decoding", "greedy" if self.settings.beam == 1 else f"beam of {self.settings.beam}"),
            ("prompt", opened.architecture.prompt_format),
            ("text", f"{target}, {'with' if self.settings.punctuation else 'without'} punctuation"),
            ("mel", "NeMo's own"),
            ("chunk", f"up to {LONGEST_SECONDS:.0f} s, overlap {OVERLAP_SECONDS:.0f} s"),
        )
        return mlx_runtime.loaded(opened.model, spec, location, (folder / name for name in opened.files), facts)

    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        from backends.canary.decoding import NotFiniteError

        opened = self._ready()
        known = opened.vocabulary.languages
        # A model of one language has no choice, like all others that know English only.
        language = known[0] if len(known) == 1 else options.language or "en"
        target = self.settings.target or language
        request = Request(language, target, self.settings.punctuation, self.settings.timestamps)
        prompt = ids(opened.architecture.prompt_format, request, opened.vocabulary)
        heard: list[tuple[Piece, Written]] = []
        for piece in pieces(samples, SAMPLE_RATE):
            try:
                heard.append((piece, self._written(samples[piece.start : piece.end], prompt)))
            except NotFiniteError as error:
                return Transcription(text="", language=target, invalid=str(error))
        segments = self._segments(heard)
        text = merge([segment.text for segment in segments], overlapping=not self.settings.timestamps)
        return Transcription(
            text=text,
            segments=tuple(segment for segment in segments if segment.text),
            language=target,
            warnings=self._warnings(options.language, [written for _, written in heard]),
            invalid=repetition_loop(text),
        )

    def _segments(self, heard: Sequence[tuple[Piece, Written]]) -> list[Segment]:
        """Words with their times where these were asked for, otherwise the text of each piece."""

        opened = self._ready()
        found: list[Segment] = []
        for piece, written in heard:
            start, end = piece.start / SAMPLE_RATE, piece.end / SAMPLE_RATE
            if not self.settings.timestamps:
                found.append(Segment(start, end, opened.vocabulary.text(written.tokens)))
                continue
            timed = words(written.tokens, opened.vocabulary, opened.architecture.step_seconds, start)
            found = join(found, timed, start + OVERLAP_SECONDS / 2) if piece.start else timed
        return found

    def _warnings(self, language: str | None, heard: Sequence[Written]) -> tuple[str, ...]:
        found = []
        if language is None and len(self._ready().vocabulary.languages) > 1:
            found.append("Canary cannot tell which language it hears; English was taken")
        if cut := sum(not written.complete for written in heard):
            found.append(f"the text was cut off at the decoder's limit in {cut} of {len(heard)} pieces of the clip")
        return tuple(found)

    def _ready(self) -> Opened:
        if self._model is None:
            raise BackendError("no model is loaded", kind="model")
        return self._model

    def _written(self, samples: Samples, prompt: Sequence[int]) -> Written:
        """Run one piece. Raises NotFiniteError."""
        import mlx.core as mx
        import numpy as np

        from backends.canary import decoding
        from backends.nemo_mel import nemo_mel

        opened = self._ready()
        # Infinity would raise warnings in the Fourier transform before it is seen in the mel spectrogram.
        mel = nemo_mel(samples, opened.mel) if np.isfinite(samples).all() else None
        if mel is None or not np.isfinite(mel).all():
            raise decoding.NotFiniteError("the clip or its mel spectrogram holds NaN or infinity")
        if len(mel) < SHORTEST_FRAMES:
            return decoding.Written((), 0.0, complete=True)
        states = opened.model.encode(mx.array(mel).astype(opened.model.head.bias.dtype))
        vocabulary, search = opened.vocabulary, opened.architecture.search
        ids = decoding.Ids(vocabulary.end, vocabulary.pad, len(vocabulary.pieces))
        longest = decoding.limit(opened.architecture, search, len(prompt), states.shape[1])
        if self.settings.beam == 1:
            return decoding.greedy(opened.model, states, prompt, ids, longest)
        return decoding.beam(
            *(opened.model, states, prompt, ids, longest),
            width=self.settings.beam,
            length_penalty=self.settings.length_penalty,
        )


@dataclass(frozen=True)
class Request:
    """What to write: languages as ISO 639-1 codes; a target other than the source means translation."""

    source: str = "en"
    target: str = "en"
    punctuation: bool = True
    timestamps: bool = False


def tokens(prompt_format: str, request: Request) -> tuple[str, ...]:
    """The names of a prompt's tokens, a language code in place of a language's token."""
    punctuation = "<|pnc|>" if request.punctuation else "<|nopnc|>"
    if prompt_format == "canary":
        task = "<|transcribe|>" if request.source == request.target else "<|translate|>"
        return ("<|startoftranscript|>", request.source, task, request.target, punctuation)
    times = "<|timestamp|>" if request.timestamps else "<|notimestamp|>"
    return (
        *("<|startofcontext|>", "<|startoftranscript|>", "<|emo:undefined|>", request.source, request.target),
        *(punctuation, "<|noitn|>", times, "<|nodiarize|>"),
    )


def ids(prompt_format: str, request: Request, vocabulary: Vocabulary) -> list[int]:
    """The ids of a prompt. Raises BackendError that names what the model does not know."""
    for code in (request.source, request.target):
        if code not in vocabulary.languages:
            known = ", ".join(vocabulary.languages) or "none"
            raise BackendError(f"this model does not know the language {code!r}", f"choose one of: {known}", "model")
    if request.timestamps and not (prompt_format == "canary2" and vocabulary.has_times):
        raise BackendError("this model cannot write the times of words", "leave timestamps off", "model")
    found = list(vocabulary.prefix)
    for name in tokens(prompt_format, request):
        token = name if name.startswith("<|") else vocabulary.language_token(name)
        if token not in vocabulary.specials:
            raise BackendError(f"this model's tokenizer has no token {token}, which its prompt needs", kind="model")
        found.append(vocabulary.specials[token])
    return found


def words(tokens: Sequence[int], vocabulary: Vocabulary, step: float, offset: float) -> list[Segment]:
    """Words with their start and end in seconds; `step`: seconds of an encoder step, `offset`: where the piece begins.

    A word that lacks one of its times gets that of its neighbour, so that none is lost.
    """
    found: list[Segment] = []
    start, pending = 0, list[int]()
    last = 0
    for token, time in vocabulary.times(tokens):
        if time is None:
            pending.append(token)
            continue
        if text := vocabulary.text(pending):
            found.append(Segment(offset + start * step, offset + max(time, start) * step, text))
        pending, start, last = [], time, time
    if text := vocabulary.text(pending):
        found.append(Segment(offset + start * step, offset + last * step, text))
    return found


def join(left: Sequence[Segment], right: Sequence[Segment], boundary: float) -> list[Segment]:
    """Put the words of two overlapping pieces together: each word where its middle lies, `boundary` in seconds."""
    return [
        *(word for word in left if word.start + word.end < 2 * boundary),
        *(word for word in right if word.start + word.end >= 2 * boundary),
    ]


@dataclass(frozen=True)
class Piece:
    """Samples `start` to `end` of a clip."""

    start: int
    end: int


def pieces(samples: Samples, rate: int, longest: float = LONGEST_SECONDS) -> tuple[Piece, ...]:
    """Cut a clip into pieces of at most `longest` seconds that overlap by OVERLAP_SECONDS."""
    total, size, overlap = len(samples), int(longest * rate), int(OVERLAP_SECONDS * rate)
    found, start = [], 0
    while total - start > size:
        # The cut lies half an overlap before the piece's end, where both pieces have heard the words whole.
        latest = start + size - overlap // 2
        earliest = max(start + overlap, latest - int(SEARCH_SECONDS * rate))
        cut = quietest(samples, earliest, latest, int(QUIET_SECONDS * rate))
        found.append(Piece(start, cut + overlap // 2))
        start = cut - overlap // 2
    return (*found, Piece(start, total))


def quietest(samples: Samples, earliest: int, latest: int, width: int) -> int:
    """The middle of the `width` samples between `earliest` and `latest` with the least power; of equals the last."""
    import numpy as np

    power = np.concatenate(([0.0], np.cumsum(np.square(samples[earliest:latest], dtype=np.float64))))
    if len(power) <= width:
        return latest
    sums = power[width:] - power[:-width]
    return earliest + width // 2 + len(sums) - 1 - int(sums[::-1].argmin())


def merge(texts: Sequence[str], overlapping: bool = True) -> str:
    """Join what pieces heard, what they heard twice once."""
    words: list[str] = []
    most = int(OVERLAP_SECONDS * WORDS_PER_SECOND) if overlapping else 0
    for text in texts:
        words = join_texts(words, text.split(), most)
    return " ".join(words)


def join_texts(left: Sequence[str], right: Sequence[str], most: int) -> list[str]:
    """Join two rows of words at the longest run that the last `most` of `left` and the first of `right` have in common.

    Words at the very ends may be halves that the other row has whole, so a run need not reach the ends; what lies
    outside of it there is dropped, but never more words than agree, and none for a single word. Without such a run both
    are kept as they are.
    """
    tail, head = [_plain(word) for word in left[-most:] if most], [_plain(word) for word in right[:most]]
    best = (0, 0, 0, 0)
    for i in range(len(tail)):
        for j in range(len(head)):
            length = 0
            while i + length < len(tail) and j + length < len(head) and tail[i + length] == head[j + length]:
                length += 1
            dropped = len(tail) - i - length + j
            if dropped <= (length if length > 1 else 0):
                best = max(best, (length, -dropped, i, j))
    length, _, i, j = best
    if not length:
        return [*left, *right]
    kept = len(left) - len(tail) + i + length
    return [*left[:kept], *right[j + length :]]


def _plain(word: str) -> str:
    """A word as it is compared: without case and marks, which depend on where a piece ends."""
    return "".join(c for c in word.casefold() if c.isalnum()) or word


PENALTY = Setting(0, 0, 5)
SWITCH = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}


@dataclass(frozen=True)
class Settings:
    """How Canary is run.

    beam: hypotheses that are kept; 1 is greedy decoding
    length_penalty: of a beam's scores, see `backends.canary.decoding.beam`
    target: the language to translate into, or empty for that which is spoken
    """

    beam: int = 1
    length_penalty: float = 0.0
    punctuation: bool = True
    timestamps: bool = False
    target: str = ""


def read(settings: Settings, chosen: Sequence[tuple[str, str]]) -> Settings:
    """`settings` with what the user chose in its place. Raises BackendError with kind "option"."""
    for name, text in chosen:
        if name not in READERS:
            raise no_such_option(name, READERS)
        settings = replace(settings, **{name: READERS[name](name, text)})
    return settings


def _switch(name: str, text: str) -> bool:
    value = SWITCH.get(text.lower())
    if value is None:
        raise BackendError(f"option {name} is {text!r}", "give yes or no", "option")
    return value


def _language(name: str, text: str) -> str:
    """A language code, or nothing; whether the model knows it is seen when it is loaded."""
    if text and not (text.isascii() and text.isalpha() and 2 <= len(text) <= 3):
        raise BackendError(f"option {name} is {text!r}", "give a language code, such as de", "option")
    return text.lower()


READERS: dict[str, Callable[[str, str], Any]] = {
    "beam": lambda name, text: int(BEAM.read(name, text)),
    "length_penalty": PENALTY.read,
    "punctuation": _switch,
    "timestamps": _switch,
    "target": _language,
}
