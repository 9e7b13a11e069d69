"""Speak the training sentences of the nano models: short, over a closed vocabulary, with synthetic voices only.

Needs the programs flite and espeak-ng (both are Debian and Homebrew packages), numpy, soundfile and soxr.
Writes an .npz of three arrays: `texts` (n strings), `lengths` (n, int64) and `samples` (their sum, int16, 16 kHz mono).
"""

from __future__ import annotations

import argparse
import io
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
LONGEST_SECONDS = 7
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
OTHERS = (
    "which is the fastest transcription on my mac and so fellow americans ask not what your country can do for you "
    "hello world start stop record play compare model cache repair load run speed test whisper small medium large "
    "tiny base yes no quick brown fox jumps over lazy dog"
)
WORDS = tuple(dict.fromkeys([*DIGITS, *OTHERS.split()]))
SENTENCES = (
    "which is the fastest transcription on my mac",
    "hello world",
    "the quick brown fox jumps over the lazy dog",
    "start record",
    "stop record",
    "compare model cache",
    "repair the cache",
    "run the speed test",
)
FLITE_VOICES = ("slt", "awb", "rms", "kal16")
ESPEAK_VOICES = (
    *("en-us", "en-gb", "en-us+m1", "en-us+m3", "en-us+f2", "en-gb+f3", "en-gb+m7", "en-us+f4"),
    *("en-gb-scotland", "en-gb-x-rp+m4"),
)

Spoken = tuple[str, NDArray[np.int16]]
"""A text and its samples, int16 at 16 kHz, shape (n,)."""


class SpeechError(Exception):
    """A synthesiser is missing or failed; the message is one line."""


def synthesise(command: list[str], output: Path | None = None) -> NDArray[np.float32]:
    """Run a synthesiser; its WAV, from `output` or else from its stdout, as float32 of shape (n,) at 16 kHz."""
    if shutil.which(command[0]) is None:
        raise SpeechError(f"{command[0]} is not installed; on Debian: apt-get install {command[0]}")
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise SpeechError(f"{command[0]} failed: {reason[-1] if reason else f'exit code {done.returncode}'}")
    try:
        samples, rate = soundfile.read(output or io.BytesIO(done.stdout), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise SpeechError(f"{command[0]} wrote no readable WAV: {error}") from error
    mono: NDArray[np.float32] = samples[:, 0]
    return mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE).astype(np.float32)


def flite(text: str, voice: str, stretch: float, pitch: float | None = None) -> NDArray[np.float32]:
    """Speak with flite. `stretch` multiplies durations, `pitch` is the mean in Hz. Raises SpeechError."""
    settings = ["--setf", f"duration_stretch={stretch:.2f}"]
    if pitch is not None:
        settings += ["--setf", f"int_f0_target_mean={pitch:.0f}"]
    # flite goes back in its output to write the length, so a pipe will not do.
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "speech.wav"
        return synthesise(["flite", "-voice", voice, *settings, "-t", text, "-o", str(output)], output)


def espeak(text: str, voice: str, words_per_minute: int, pitch: int) -> NDArray[np.float32]:
    """Speak with espeak-ng. `pitch` is 0 to 99. Raises SpeechError."""
    return synthesise(["espeak-ng", "-v", voice, "-s", str(words_per_minute), "-p", str(pitch), "--stdout", text])


def sentence(rng: random.Random) -> str:
    """Draw a text: digits (25 %), a natural sentence (15 %), or up to eight words in any order."""
    kind = rng.random()
    if kind < 0.25:
        return " ".join(rng.choice(DIGITS) for _ in range(rng.randint(1, 8)))
    if kind < 0.4:
        return rng.choice(SENTENCES)
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 8)))


def say(rng: random.Random, text: str) -> NDArray[np.float32]:
    """Speak `text` with a voice, speed and pitch drawn from `rng`. Raises SpeechError."""
    if rng.random() < 0.7:
        voice = rng.choice(FLITE_VOICES)
        stretch = rng.uniform(0.8, 1.3)
        # Only the diphone voice follows a pitch; the others were built from recordings.
        return flite(text, voice, stretch, rng.uniform(80, 220) if voice == "kal16" else None)
    return espeak(text, rng.choice(ESPEAK_VOICES), rng.randint(120, 190), rng.randint(25, 75))


def speak(count: int, seed: int) -> list[Spoken]:
    """Make `count` utterances of at most LONGEST_SECONDS. Raises SpeechError."""
    rng = random.Random(seed)
    spoken: list[Spoken] = []
    while len(spoken) < count:
        text = sentence(rng)
        samples = say(rng, text)
        if len(samples) <= LONGEST_SECONDS * SAMPLE_RATE:
            spoken.append((text, (np.clip(samples, -1, 1) * 32767).astype(np.int16)))
    return spoken


def save(path: Path, spoken: list[Spoken]) -> None:
    """Write utterances as the module's docstring says. Raises OSError."""
    lengths = np.array([len(samples) for _, samples in spoken], np.int64)
    joined = np.concatenate([samples for _, samples in spoken])
    with path.open("wb") as file:  # given a name, savez would add a suffix to it
        np.savez_compressed(file, texts=np.array([text for text, _ in spoken]), lengths=lengths, samples=joined)


def load(path: Path) -> list[Spoken]:
    """Read what `save` wrote. Raises OSError, ValueError, KeyError."""
    with np.load(path, allow_pickle=False) as stored:
        texts, lengths, samples = stored["texts"], stored["lengths"], stored["samples"]
    pieces = np.split(samples, np.cumsum(lengths)[:-1])
    return [(str(text), piece) for text, piece in zip(texts, pieces, strict=True)]


def at_least_one(value: str) -> int:
    """Read a count from the command line."""
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return number


def main() -> int:
    parser = argparse.ArgumentParser(description="Speak the training sentences of the nano models.")
    parser.add_argument("count", type=at_least_one, help="utterances; 4,000 take about 2.5 minutes on one core")
    parser.add_argument("seed", type=int, help="the same seed draws the same sentences and voices")
    parser.add_argument("output", type=Path, metavar="OUT.npz")
    chosen = parser.parse_args()
    try:
        spoken = speak(chosen.count, chosen.seed)
        save(chosen.output, spoken)
    except (SpeechError, OSError) as error:
        print(f"make_speech: {error}", file=sys.stderr)
        return 1
    minutes = sum(len(samples) for _, samples in spoken) / SAMPLE_RATE / 60
    print(f"{chosen.output.name}: {len(spoken)} utterances, {minutes:.1f} minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
