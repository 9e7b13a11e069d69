"""Train nano Parakeet (FastConformer encoder, TDT and CTC heads) with NeMo's own modules on a CPU; save it as .nemo.

Needs a throw-away environment with torch and nemo_toolkit[asr] (3.0.0 here), and the speech of make_speech.py. CTC
alone comes first; the transducer then learns in a few hundred steps.
"""

from __future__ import annotations

import argparse
import logging
import math
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from make_speech import load
from parakeet_config import config
from tdt_loss import tdt_loss
from torch.nn import functional

PIECES = 160
RATE = 16_000
BATCH = {"ctc": 24, "tdt": 12}
PEAK_RATE = {"ctc": 2e-3, "tdt": 1.6e-3}
WARM_UP_STEPS = 200
CTC_SHARE = 0.3
"""Of the CTC loss beside the transducer's."""

Clips = list[tuple[list[int], torch.Tensor]]
"""Token ids of a text, and its samples at full scale."""


def tokenizer(texts: list[str]) -> str:
    """Train a SentencePiece BPE model in a folder of its own; NeMo wants vocab.txt beside it."""
    folder = Path(tempfile.mkdtemp())
    (folder / "text.txt").write_text("\n".join(texts))
    import sentencepiece

    sentencepiece.SentencePieceTrainer.Train(
        input=str(folder / "text.txt"), model_prefix=str(folder / "tokenizer"), vocab_size=PIECES, model_type="bpe",
        character_coverage=1.0, hard_vocab_limit=False, normalization_rule_name="identity",
    )  # fmt: skip
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    names = [pieces.id_to_piece(number) for number in range(pieces.get_piece_size())]
    (folder / "vocab.txt").write_text("".join(f"{name}\n" for name in names))
    return str(folder)


def draw(clips: Clips, size: int, seconds: float, rng: random.Random) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Samples (size, n), their lengths, their ids: at random times, gains, under noise; 3 % without speech."""
    most = int(RATE * seconds)
    samples, lengths, targets = torch.zeros(size, most), [], []
    for row in samples:
        at = end = rng.choice([0, rng.randint(0, RATE // 2)])
        ids: list[int] = []
        if rng.random() > 0.03:
            for _ in range(1 if seconds < 6 else rng.choice([1, 2, 3])):
                spoken, wave = rng.choice(clips)
                if at + len(wave) > most:
                    continue
                row[at : at + len(wave)] += wave * 10 ** rng.uniform(-1.2, 0)
                end = at + len(wave)
                at = end + rng.randint(0, 4800)
                ids = ids + spoken
        length = max(RATE // 4, min(most, end + rng.randint(0, RATE // 2)))
        row[:length] += torch.randn(length) * 10 ** rng.uniform(-5, -2.2)
        row[length:] = 0
        lengths.append(length)
        targets.append(ids)
    return samples, torch.tensor(lengths), targets


def padded(targets: list[list[int]]) -> torch.Tensor:
    rows = torch.zeros(len(targets), max(1, *map(len, targets)), dtype=torch.long)
    for row, ids in zip(rows, targets, strict=True):
        row[: len(ids)] = torch.tensor(ids, dtype=torch.long)
    return rows


def loss_of(model: Any, clips: Clips, stage: str, rng: random.Random) -> torch.Tensor:
    """The CTC loss of one batch, and in the second stage the transducer's as well."""
    seconds = rng.choice([4, 4, 8]) if stage == "ctc" else 4
    samples, lengths, targets = draw(clips, BATCH[stage], seconds, rng)
    with torch.no_grad():
        mel, frames = model.preprocessor(input_signal=samples, length=lengths)
    hidden, steps = model.encoder(audio_signal=model.spec_augmentation(input_spec=mel, length=frames), length=frames)
    counts, blank = torch.tensor([len(ids) for ids in targets]), model.tokenizer.vocab_size
    labels = torch.tensor([token for ids in targets for token in ids])
    scores = model.ctc_decoder(encoder_output=hidden).transpose(0, 1)
    loss = functional.ctc_loss(scores, labels, steps, counts, blank=blank, zero_infinity=True)
    if stage == "ctc":
        return loss
    predicted, _, _ = model.decoder(targets=padded(targets), target_length=counts)
    # NeMo would normalise over tokens and durations together on a CPU.
    model.joint.log_softmax = False
    logits = model.joint.joint(hidden.transpose(1, 2), predicted.transpose(1, 2))
    return CTC_SHARE * loss + tdt_loss(logits, targets, steps, blank)


def train(model: Any, clips: Clips, stage: str, steps: int, rng: random.Random) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE[stage], weight_decay=1e-3, betas=(0.9, 0.98))
    began = time.monotonic()
    for step in range(steps):
        cosine = 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE[stage] * min(1.0, (step + 1) / WARM_UP_STEPS) * cosine
        loss = loss_of(model, clips, stage, rng)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0:
            print(f"{stage} step {step} {time.monotonic() - began:.0f} s loss {float(loss):.3f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Train nano Parakeet.")
    parser.add_argument("out", type=Path, metavar="OUT.nemo")
    parser.add_argument("ctc_steps", type=int, help="2,400 for the shipped model")
    parser.add_argument("tdt_steps", type=int, help="1,600 for the shipped model")
    parser.add_argument("training", type=Path, nargs="+", metavar="TRAINING.npz")
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    try:
        from nemo.collections.asr.models import EncDecHybridRNNTCTCBPEModel
        from omegaconf import OmegaConf, open_dict

        spoken = [one for path in chosen.training for one in load(path)]
        model = EncDecHybridRNNTCTCBPEModel(cfg=OmegaConf.create(config(tokenizer([text for text, _ in spoken]))))
        clips = []
        for text, pcm in spoken:
            wave = torch.from_numpy(pcm.astype(np.float32) / 32768)
            clips.append((model.tokenizer.text_to_ids(text), wave / (wave.abs().max() + 1e-6)))
        model.train()
        rng = random.Random(0)
        for stage, steps in (("ctc", chosen.ctc_steps), ("tdt", chosen.tdt_steps)):
            train(model, clips, stage, steps, rng)
    except (ImportError, OSError, KeyError, ValueError) as error:
        print(f"train_parakeet: {error}", file=sys.stderr)
        return 1
    model.joint.log_softmax = None
    with open_dict(model.cfg):  # NeMo's transcribe() of transducers looks here, whatever was used in training
        model.cfg.validation_ds = {"use_start_end_token": False}
    model.eval()
    model.save_to(str(chosen.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
