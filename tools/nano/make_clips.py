"""Speak clips as sound files with their words beside them: NN.flac (or NN.ogg, smaller) and NN.txt.

    python make_clips.py 40 20261121 unseen

Seeds 1 to 3, 11 to 13 and 999 were used in training and validation; any other speaks what is new to every nano model.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

import numpy as np
import soundfile
from make_speech import SAMPLE_RATE, SpeechError, Spoken, at_least_one, say, sentence

TRAINED_ON = (1, 2, 3, 11, 12, 13, 999)
SUBTYPES = {"flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "OPUS")}
SILENCE_SECONDS = 0.2


def speak(count: int, seed: int, longest: float) -> list[Spoken]:
    """Make `count` utterances of different texts, of at most `longest` seconds. Raises SpeechError."""
    rng = random.Random(seed)
    spoken: dict[str, Spoken] = {}
    while len(spoken) < count:
        text = sentence(rng)
        samples = np.pad(say(rng, text), round(SILENCE_SECONDS * SAMPLE_RATE))
        if len(samples) <= longest * SAMPLE_RATE:
            spoken.setdefault(text, (text, (np.clip(samples, -1, 1) * 32767).astype(np.int16)))
    return list(spoken.values())


def write(folder: Path, spoken: list[Spoken], form: str) -> None:
    """Write clips and their words. Raises OSError, LibsndfileError."""
    folder.mkdir(parents=True, exist_ok=True)
    container, subtype = SUBTYPES[form]
    for number, (text, samples) in enumerate(spoken, 1):
        path = folder / f"{number:02}.{form}"
        soundfile.write(path, samples, SAMPLE_RATE, format=container, subtype=subtype)
        path.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="Speak clips, with their words beside them.")
    parser.add_argument("count", type=at_least_one)
    parser.add_argument("seed", type=int, help="the same seed speaks the same clips")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--format", choices=SUBTYPES, default="flac", dest="form", help="default: %(default)s")
    parser.add_argument("--longest", type=float, default=7.0, metavar="SECONDS", help="default: %(default)s")
    chosen = parser.parse_args()
    if chosen.seed in TRAINED_ON:
        parser.error(f"seed {chosen.seed} was used in training; choose another one")
    try:
        spoken = speak(chosen.count, chosen.seed, chosen.longest)
        write(chosen.folder, spoken, chosen.form)
    except (SpeechError, OSError, soundfile.LibsndfileError) as error:
        print(f"make_clips: {error}", file=sys.stderr)
        return 1
    minutes = sum(len(samples) for _, samples in spoken) / SAMPLE_RATE / 60
    print(f"{chosen.folder.name}: {len(spoken)} clips, {minutes:.1f} minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
