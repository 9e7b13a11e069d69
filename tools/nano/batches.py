"""Training batches: utterances at random times and loudness, under noise, through uneven microphones."""

from __future__ import annotations

import random

import numpy as np
import torch
from features import BANDS, FRAMES_PER_SECOND, HOP, LogMel
from make_speech import Spoken
from model import END, FIRST_TIMESTAMP, NO_SPEECH, NO_TIMESTAMPS, START, TIMESTAMPS, Vocabulary
from torch.nn import functional

IGNORED = -100
"""Target that torch's cross entropy leaves out."""

Batch = tuple[torch.Tensor, torch.Tensor, list[list[int]]]
"""Log-mel (batch, 80, frames), rows to predict (batch, n) with START first, CTC classes of each."""


class Batches:
    """Draws batches from utterances whose mel power is computed once."""

    def __init__(self, spoken: list[Spoken], vocabulary: Vocabulary, mel: LogMel, rng: random.Random) -> None:
        self.vocabulary, self.mel, self.rng = vocabulary, mel, rng
        self.utterances: list[tuple[list[int], torch.Tensor]] = []
        for text, pcm in spoken:
            samples = torch.from_numpy(pcm.astype(np.float32) / 32768)
            samples = functional.pad(samples / (samples.abs().max() + 1e-6), (0, -len(samples) % HOP))
            self.utterances.append((vocabulary.encode(text), mel.power(samples[None])[0]))
        self.noise = mel.power(torch.randn(1, 160_000))[0].mean(1, keepdim=True)

    def draw(self, size: int, seconds: float) -> Batch:
        """Draw `size` windows of `seconds`."""
        frames = int(FRAMES_PER_SECOND * seconds)
        power = torch.zeros(size, BANDS, frames)
        sequences, classes = [], []
        for window in power:
            sequence, text = self.fill(window, seconds)
            self.colour(window)
            sequences.append(sequence)
            classes.append([self.vocabulary.ctc[token] for token in text])
        targets = torch.full((size, max(map(len, sequences))), IGNORED)
        for row, sequence in zip(targets, sequences, strict=True):
            row[: len(sequence)] = torch.tensor([self.vocabulary.row[token] for token in sequence])
        mel = self.mel.log(power)
        for _ in range(2):  # frequency masking, as in SpecAugment (arXiv 1904.08779)
            width = self.rng.randint(0, 12)
            start = self.rng.randint(0, BANDS - width)
            mel[:, start : start + width] = mel[:, start : start + width].mean()
        return mel, targets, classes

    def fill(self, window: torch.Tensor, seconds: float) -> tuple[list[int], list[int]]:
        """Add utterances to one window (80, frames); the whole token sequence and its text tokens.

        4 % stay without speech, so that the no-speech token is learnt; 60 % of the others are told with timestamps.
        """
        rng, frames = self.rng, window.shape[1]
        if rng.random() < 0.04:
            return [START, NO_SPEECH, END], []
        text: list[int] = []
        at, end = rng.choice([0, 0, rng.randint(0, 60)]), 0
        for _ in range(1 if seconds < 10 else rng.choice([1, 1, 1, 2, 3])):
            tokens, spoken = rng.choice(self.utterances)
            if at + spoken.shape[1] > frames:
                break
            window[:, at : at + spoken.shape[1]] += spoken * 10 ** rng.uniform(-2.4, 0)
            end = at + spoken.shape[1]
            text += tokens
            at = end + rng.randint(0, 30)
        if rng.random() < 0.6:
            last = min(TIMESTAMPS - 1, round(end / 2))  # a timestamp is two frames
            return [START, FIRST_TIMESTAMP, *text, FIRST_TIMESTAMP + last, END], text
        return [START, NO_TIMESTAMPS, *text, END], text

    def colour(self, window: torch.Tensor) -> None:
        """Tilt and ripple the spectrum of one window by up to 7 dB, and mostly add noise, 40 to 100 dB down."""
        rng = self.rng
        ripple = torch.sin(torch.linspace(0, rng.uniform(2, 12), BANDS)) * rng.uniform(-0.2, 0.2)
        tilt = torch.linspace(-1, 1, BANDS) * rng.uniform(-0.5, 0.5)
        window *= (10 ** (tilt + ripple))[:, None]
        if rng.random() < 0.85:
            # The power of Gaussian noise in one bin is exponentially distributed.
            loudness = self.noise * 10 ** rng.uniform(-10, -4)
            window += loudness * torch.empty_like(window).exponential_(1.0)
