"""Training batches for nano Canary: utterances whose mel power is computed once, mixed, sped up and made noisy.

Mel power adds up as sound does, so mixing speech with noise needs no second Fourier transform. Only the logarithm and
the normalisation, which NeMo takes over the valid frames, are left for each batch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from make_speech import SAMPLE_RATE, Spoken
from torch.nn import functional

GUARD = 2.0**-24
"""What NeMo adds before its logarithm."""

FRAMES_PER_SECOND = 100
NORMALISER = 1e-5

Mel = Callable[[torch.Tensor], torch.Tensor]
"""Samples (n,) to log-mel (80, frames), not normalised."""


@dataclass(frozen=True)
class Utterance:
    """The ids of its text, and its log-mel, float16, (80, frames), at full scale."""

    ids: list[int]
    mel: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """Normalised log-mel (batch, 80, frames), valid frames of each, the ids of each text."""

    mel: torch.Tensor
    frames: torch.Tensor
    texts: list[list[int]]


def utterances(spoken: Sequence[Spoken], encode: Callable[[str], list[int]], mel: Mel) -> list[Utterance]:
    """Compute every utterance's mel; the peak of each is set to full scale."""
    made = []
    for text, pcm in spoken:
        samples = torch.from_numpy(pcm.astype(np.float32) / 32768)
        made.append(Utterance(encode(text), mel(samples / (samples.abs().max() + 1e-6)).half()))
    return made


def cached(path: Path, make: Callable[[], list[Utterance]]) -> list[Utterance]:
    """Read utterances from `path`, or make them and write them there."""
    if path.is_file():
        stored = torch.load(path, weights_only=True)
        return [Utterance(ids, mel) for ids, mel in stored]
    made = make()
    torch.save([(one.ids, one.mel) for one in made], path)
    return made


def normalise(mel: torch.Tensor, frames: int) -> torch.Tensor:
    """Normalise each band of (80, n) over the first `frames` and set the rest to zero, as NeMo's `per_feature`."""
    valid = mel[:, :frames]
    done = torch.zeros_like(mel)
    done[:, :frames] = (valid - valid.mean(1, keepdim=True)) / (valid.std(1, keepdim=True) + NORMALISER)
    return done


def padded(rows: list[torch.Tensor], texts: list[list[int]]) -> Batch:
    """Put normalised mels of (80, n) into one batch, with zeros after each."""
    frames = [row.shape[1] for row in rows]
    mel = torch.stack([functional.pad(row, (0, max(frames) - row.shape[1])) for row in rows])
    return Batch(mel, torch.tensor(frames), texts)


class Batches:
    """Draws batches. `draw` is the only thing that uses the random numbers."""

    def __init__(self, training: list[Utterance], mel: Mel, rng: random.Random) -> None:
        self.training, self.rng = training, rng
        self.noise = mel(torch.randn(60 * SAMPLE_RATE)).exp()
        """A minute of white noise of deviation 1, in mel power."""

    def draw(self, size: int, seconds: float) -> Batch:
        """Draw `size` clips of at most `seconds`; 3 % of them hold no speech."""
        rows, texts = [], []
        for _ in range(size):
            mel, ids = self.clip(int(seconds * FRAMES_PER_SECOND))
            rows.append(self.masked(normalise(mel, mel.shape[1])))
            texts.append(ids)
        return padded(rows, texts)

    def clip(self, limit: int) -> tuple[torch.Tensor, list[int]]:
        """Mix one clip of at most `limit` frames: its log-mel and the ids of what is said."""
        rng = self.rng
        at = end = rng.choice([0, rng.randint(0, 50)])
        power, ids = torch.zeros(80, limit), []
        if rng.random() > 0.03:
            for _ in range(rng.choice([1, 1, 1, 2, 3])):
                one = rng.choice(self.training)
                spoken = self.stretched(one.mel.float())
                if at + spoken.shape[1] > limit:
                    continue
                power[:, at : at + spoken.shape[1]] += spoken.exp() * 10 ** rng.uniform(-2.4, 0)
                end = at + spoken.shape[1]
                ids = ids + one.ids
                at = end + rng.randint(0, 30)
        frames = max(25, min(limit, end + rng.randint(0, 50)))
        start = rng.randint(0, self.noise.shape[1] - frames)
        noise = self.noise[:, start : start + frames] * 10 ** rng.uniform(-10, -4.4)
        return torch.log(power[:, :frames] + noise + GUARD), ids

    def stretched(self, mel: torch.Tensor) -> torch.Tensor:
        """Half of the time, speak up to 12 % faster or slower at the same pitch."""
        if self.rng.random() < 0.5:
            return mel
        return functional.interpolate(mel[None], scale_factor=self.rng.uniform(0.88, 1.12), mode="linear")[0]

    def masked(self, mel: torch.Tensor) -> torch.Tensor:
        """Hide two stretches of bands and one of time, as SpecAugment does (arXiv 1904.08779)."""
        for _ in range(2):
            width = self.rng.randint(0, 10)
            start = self.rng.randint(0, 80 - width)
            mel[start : start + width] = 0
        width = self.rng.randint(0, 8)
        start = self.rng.randint(0, max(0, mel.shape[1] - width))
        mel[:, start : start + width] = 0
        return mel
