"""Speak the bundled demo clip: one sentence of the nano vocabulary, as `demo.flac` with its words in `demo.txt`.

Needs the program flite. The default sentence and voice are those that mlx-whisper, whisper-mps and transformers
transcribe word for word with the nano model, also padded, quieter or louder, and pocketsphinx with its own model.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import soundfile
from make_speech import FLITE_VOICES, SAMPLE_RATE, WORDS, SpeechError, flite
from numpy.typing import NDArray

TEXT = "which is the fastest transcription on my mac"
VOICE, STRETCH = "rms", 1.15
SILENCE_SECONDS = 0.3
PEAK_DBFS = -3.0
AUDIBLE = 0.01
"""Fraction of the peak above which the voice has begun: 40 dB below it."""

EMBEDDED = Path(__file__).resolve().parents[2] / "backends" / "embedded"


def clip(text: str, voice: str, stretch: float) -> NDArray[np.float32]:
    """Speak `text` between two silences, at PEAK_DBFS; float32 at 16 kHz, shape (n,). Raises SpeechError."""
    samples = flite(text, voice, stretch)
    audible = np.flatnonzero(np.abs(samples) > AUDIBLE * np.abs(samples).max(initial=0.0))
    if len(audible) == 0:
        raise SpeechError(f"flite said nothing for {text!r}")
    samples = samples[audible[0] : audible[-1] + 1]
    samples = samples * (10 ** (PEAK_DBFS / 20) / np.abs(samples).max())
    silence = np.zeros(round(SILENCE_SECONDS * SAMPLE_RATE), np.float32)
    return np.concatenate([silence, samples, silence]).astype(np.float32)


def main() -> int:
    parser = argparse.ArgumentParser(description="Speak the bundled demo clip.")
    parser.add_argument("--text", default=TEXT, help="words of the nano vocabulary (default: %(default)s)")
    parser.add_argument("--voice", default=VOICE, choices=FLITE_VOICES, help="default: %(default)s")
    parser.add_argument("--stretch", default=STRETCH, type=float, help="multiplies durations (default: %(default)s)")
    parser.add_argument("--folder", default=EMBEDDED, type=Path, help="where demo.flac and demo.txt go")
    chosen = parser.parse_args()
    words = chosen.text.lower().split()
    unknown = sorted(set(words) - set(WORDS))
    if not words or unknown:
        parser.error(f"not in the nano vocabulary: {', '.join(unknown) or 'an empty text'}")
    try:
        samples = clip(" ".join(words), chosen.voice, chosen.stretch)
        soundfile.write(chosen.folder / "demo.flac", samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        (chosen.folder / "demo.txt").write_text(" ".join(words) + "\n", encoding="utf-8")
    except (SpeechError, OSError, soundfile.LibsndfileError) as error:
        print(f"make_demo: {error}", file=sys.stderr)
        return 1
    print(f"{chosen.folder / 'demo.flac'}: {len(samples) / SAMPLE_RATE:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
