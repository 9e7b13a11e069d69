"""Train nano.en, a Whisper of 2 + 2 layers and width 96, on the speech of make_speech.py, on a CPU.

Needs torch, tiktoken, jiwer, mlx-whisper (mel filters and GPT-2's ranks) and whisper-mps (the torch Whisper whose
parameter names are OpenAI's): this project with its extra "mlx", on any system that has one.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from pathlib import Path

from make_speech import Spoken, load

SHORT = (2e-3, [(5.0, 32)])
MIXED = (1.2e-3, [(5.0, 24), (12.0, 12), (30.0, 6), (30.0, 6)])
"""Peak learning rate, and pairs of window seconds and batch size. Short windows first: they are six times cheaper, and
nothing is transcribed before about 800 steps."""


def spoken_in(paths: list[Path]) -> list[Spoken]:
    """Read files of make_speech.py; ends the program with one line where that fails."""
    found: list[Spoken] = []
    for path in paths:
        try:
            found += load(path)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            sys.exit(f"train: {path} cannot be read as speech of make_speech.py: {error}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Train nano.en on synthetic speech.")
    parser.add_argument("output", type=Path, metavar="OUT.pt", help="the checkpoint, for export.py")
    parser.add_argument("short", type=int, help="steps on windows of 5 s (4500 for the bundled model)")
    parser.add_argument("mixed", type=int, help="steps on windows of 5 to 30 s (3200 for the bundled model)")
    parser.add_argument("validation", type=Path, metavar="VALIDATION.npz")
    parser.add_argument("training", type=Path, nargs="+", metavar="TRAINING.npz")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    chosen = parser.parse_args()
    if not chosen.output.absolute().parent.is_dir():
        sys.exit(f"train: {chosen.output.parent} is not a folder: make it first")
    training, validation = spoken_in(chosen.training), spoken_in([chosen.validation])
    try:
        import torch
        from trainer import Trainer
    except ImportError as error:
        sys.exit(f"train: {error}: pip install -e '.[mlx]'")
    trainer = Trainer(training, validation, chosen.seed)
    for name, steps, (peak, windows) in (("short", chosen.short, SHORT), ("mixed", chosen.mixed, MIXED)):
        trainer.run(steps, peak, windows, name)
        torch.save(trainer.model.checkpoint(), chosen.output)
    print(f"WER on all {len(validation)} validation utterances: {trainer.wer():.3f}")


if __name__ == "__main__":
    main()
