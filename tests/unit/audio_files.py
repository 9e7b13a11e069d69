"""Audio files of many kinds, made for the tests of decoding."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

SECONDS = 1.5


def tone(rate: int, seconds: float = SECONDS, frequency: float = 1000.0, amplitude: float = 0.5) -> Any:
    """A sine, float32, shape (n,)."""
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def level_db(samples: Any) -> float:
    """Level of a sine's middle, in dB against the amplitude 0.5."""
    middle = samples[len(samples) // 4 : -len(samples) // 4].astype(np.float64)
    return float(20 * np.log10(np.sqrt(2 * np.mean(middle**2)) / 0.5))


def encode(path: Path, container: str, codec: str, samples: Any, rate: int = 48_000) -> Path:
    """Write mono or (n, channels) float32 samples through FFmpeg's libraries."""
    import av

    layout = "mono" if samples.ndim == 1 else {2: "stereo", 6: "5.1", 8: "7.1"}[samples.shape[1]]
    with av.open(str(path), "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=rate)
        stream.codec_context.layout = layout
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        resampler = av.AudioResampler(format=stream.codec_context.format.name, layout=layout, rate=rate)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            if part is None or part.samples:
                output.mux(stream.encode(part))
    return path


def video(path: Path, sound: Any = None) -> Path:
    """Write half a second of grey pictures, with mono sound at 48 kHz or without."""
    import av

    with av.open(str(path), "w") as output:
        pictures: Any = output.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        audio: Any = output.add_stream("aac", rate=48_000) if sound is not None else None
        if audio is not None:
            audio.codec_context.layout = "mono"
        for _ in range(5):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, np.uint8), format="rgb24")
            output.mux(pictures.encode(picture))
        output.mux(pictures.encode(None))
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
            output.mux(audio.encode(frame))
            output.mux(audio.encode(None))
    return path


Maker = Callable[[Path], Any]
MAKERS: dict[str, Maker] = {
    "wav": lambda path: soundfile.write(path, _speechlike(), 16_000),
    "flac": lambda path: soundfile.write(path, _speechlike(), 16_000),
    "ogg": lambda path: soundfile.write(path, _speechlike(), 16_000),
    "mp3": lambda path: soundfile.write(path, _speechlike(), 16_000),
    "webm": lambda path: encode(path, "webm", "libopus", _speechlike(), 16_000),
    "m4a": lambda path: encode(path, "ipod", "aac", _speechlike(), 16_000),
}


def _speechlike() -> Any:
    return np.random.default_rng(2).normal(0, 0.1, 32_000).astype(np.float32)
