"""Train nano Canary (EncDecMultiTaskModel, English, canary2 prompt) on a CPU and save it as .nemo.

The encoder starts from nano Parakeet's, and its CTC head keeps teaching it; the decoder starts from nothing. Needs a
throw-away environment with torch and nemo_toolkit[asr] (3.0.0 here), and the speech of make_speech.py.

The rate follows the clock, so the program ends after MINUTES however busy the machine is. It writes OUT.checkpoint.pt
every few minutes and resumes from it when started again; SIGTERM ends it early, and the best model so far is saved.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import sys
import time
from pathlib import Path
from statistics import fmean

import canary_batches
import torch
from canary_batches import Batches, Utterance
from canary_trainer import Trainer
from make_speech import load

BATCH = 24
VALIDATION_CLIPS = 60


def train(trainer: Trainer, batches: Batches, held: list[Utterance], minutes: float, every: float) -> None:
    """Train until `minutes` have passed since the first start, looking at `held` every so many minutes."""
    ended = False

    def end(_signal: int, _frame: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    state, losses = trainer.state, []
    began = time.monotonic() - state.seconds
    looked = state.seconds
    while not ended and state.seconds < 60 * minutes:
        trainer.rate(state.seconds / (60 * minutes))
        seconds = batches.rng.choice([3.0, 4.0, 4.0, 7.0])
        loss = trainer.loss(batches.draw(int(BATCH * 4 / max(4.0, seconds)), seconds), batches.rng)
        trainer.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*trainer.model.encoder.parameters(), *trainer.others()], 1.0)
        trainer.optimizer.step()
        losses.append(float(loss))
        state.step += 1
        state.seconds = time.monotonic() - began
        if state.step % 50 == 0:
            print(f"step {state.step} {state.seconds:.0f} s loss {fmean(losses[-50:]):.3f}", flush=True)
        if state.seconds - looked > 60 * every:
            look(trainer, held, sum(losses) / len(losses))
            losses, looked = [], state.seconds
    look(trainer, held, sum(losses) / max(1, len(losses)))


def look(trainer: Trainer, held: list[Utterance], loss: float) -> None:
    """Take the word error rate, keep the weights if they are the best so far, and write the checkpoint."""
    state, wer = trainer.state, trainer.validate(held)
    state.curve.append((state.step, state.seconds, loss, wer))
    print(f"step {state.step} {state.seconds:.0f} s mean loss {loss:.3f} word error rate {wer:.3f}", flush=True)
    if wer <= state.best:
        state.best = wer
        trainer.best = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.save()


def main() -> int:
    parser = argparse.ArgumentParser(description="Train nano Canary.")
    parser.add_argument("out", type=Path, metavar="OUT.nemo")
    parser.add_argument("parakeet", type=Path, metavar="PARAKEET.nemo")
    parser.add_argument("minutes", type=float, help="how long to train")
    parser.add_argument("validation", type=Path, metavar="VALIDATION.npz")
    parser.add_argument("training", type=Path, nargs="+", metavar="TRAINING.npz")
    parser.add_argument("--every", type=float, default=4, help="minutes between two looks at the word error rate")
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    rng = random.Random(5)
    torch.manual_seed(5)
    work = chosen.out.with_suffix(".work")
    try:
        trainer = Trainer(chosen.parakeet, work, chosen.out)
        mel, encode = trainer.mel(), trainer.encode

        def utterances(path: Path) -> list[Utterance]:
            made = work / f"{path.stem}.pt"
            return canary_batches.cached(made, lambda: canary_batches.utterances(load(path), encode, mel))

        held = utterances(chosen.validation)[:VALIDATION_CLIPS]
        training = [one for path in chosen.training for one in utterances(path)]
        trainer.resume()
        trainer.model.train()
        train(trainer, Batches(training, mel, rng), held, chosen.minutes, chosen.every)
        trainer.finish()
    except (OSError, KeyError, ValueError) as error:
        print(f"train_canary: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
