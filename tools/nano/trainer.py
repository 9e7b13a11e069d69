"""The training loop of nano.en, and the word error rate that says how far it is."""

from __future__ import annotations

import math
import random
import time

import jiwer
import numpy as np
import torch
from batches import IGNORED, Batches
from features import SAMPLE_RATE, LogMel
from make_speech import Spoken
from model import END, NO_TIMESTAMPS, START, Trainee, Vocabulary
from numpy.typing import NDArray
from torch.nn import functional

WARM_UP_STEPS = 300
CTC_WEIGHT = 0.5
LONGEST_TEXT = 60
REPORT_EVERY = 250
WINDOW_SECONDS = 30.0
"""What every Whisper library pads to."""


class Trainer:
    """A model, its batches and the utterances that judge it."""

    def __init__(self, training: list[Spoken], validation: list[Spoken], seed: int) -> None:
        torch.manual_seed(seed)
        self.rng = random.Random(seed)
        self.mel = LogMel()
        self.vocabulary = Vocabulary(text for text, _ in training + validation)
        self.model = Trainee(self.vocabulary)
        self.batches = Batches(training, self.vocabulary, self.mel, self.rng)
        self.validation = validation

    def losses(self, size: int, seconds: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw a batch; the decoder's cross entropy and the encoder's CTC loss, both scalars."""
        mel, targets, classes = self.batches.draw(size, seconds)
        audio = self.model.encode(mel)
        logits = self.model.decode(targets[:, :-1].clamp(min=0), audio)
        entropy = functional.cross_entropy(logits.flatten(0, 1), targets[:, 1:].flatten(), ignore_index=IGNORED)
        log_probabilities = self.model.ctc(audio).log_softmax(-1).transpose(0, 1)
        flat = torch.tensor([token for tokens in classes for token in tokens], dtype=torch.long)
        lengths = torch.tensor([len(tokens) for tokens in classes])
        frames = torch.full((size,), audio.shape[1])
        ctc = functional.ctc_loss(log_probabilities, flat, frames, lengths, zero_infinity=True)
        return entropy, ctc

    def run(self, steps: int, peak: float, windows: list[tuple[float, int]], name: str) -> None:
        """Train for `steps`, with a cosine schedule below the learning rate `peak`.

        windows: pairs of seconds and batch size, one drawn for each step
        """
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=peak, weight_decay=0.01, betas=(0.9, 0.98))
        began = time.monotonic()
        for step in range(steps):
            cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
            for group in optimizer.param_groups:
                group["lr"] = peak * min(1, (step + 1) / WARM_UP_STEPS) * (cosine + 0.01)
            seconds, size = self.rng.choice(windows)
            entropy, ctc = self.losses(size, seconds)
            optimizer.zero_grad()
            (entropy + CTC_WEIGHT * ctc).backward()
            torch.nn.utils.clip_grad_norm_(self.model.whisper.parameters(), 1.0)
            optimizer.step()
            if (step + 1) % REPORT_EVERY == 0 or step + 1 == steps:
                took = time.monotonic() - began
                losses = f"cross entropy {entropy.item():.3f}, CTC {ctc.item():.3f}, WER {self.wer(40):.3f}"
                print(f"{name} {step + 1}/{steps}: {losses}, {took:.0f} s", flush=True)

    def transcribe(self, pcm: NDArray[np.int16]) -> str:
        """Transcribe int16 samples greedily, padded to 30 s, without timestamps."""
        samples = torch.zeros(1, int(SAMPLE_RATE * WINDOW_SECONDS))
        samples[0, : len(pcm)] = torch.from_numpy(pcm.astype(np.float32) / 32768)
        audio = self.model.encode(self.mel.log(self.mel.power(samples)))
        rows = [self.vocabulary.row[START], self.vocabulary.row[NO_TIMESTAMPS]]
        for _ in range(LONGEST_TEXT):
            best = int(self.model.decode(torch.tensor([rows]), audio)[0, -1].argmax())
            if best in (self.vocabulary.row[END], self.vocabulary.extra):
                break
            rows.append(best)
        return self.vocabulary.decode(rows)

    def wer(self, count: int | None = None) -> float:
        """Return the word error rate over the first `count` validation utterances, or all."""
        chosen = self.validation[:count]
        self.model.whisper.eval()
        with torch.no_grad():
            found = [self.transcribe(pcm) for _, pcm in chosen]
        self.model.whisper.train()
        return float(jiwer.wer([text for text, _ in chosen], found))
