"""Files of all kinds to clips: every format, rate, depth and channel count that people have."""

from __future__ import annotations

import functools
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_files import SECONDS, encode, level_db, tone, video

from speedtest_tui.core.audio import decode
from speedtest_tui.core.audio.decode import from_samples
from speedtest_tui.core.audio.ffmpeg import frame_samples

load_clip = functools.partial(decode.load_clip, apart=False)
"""In this process: what a child does for each file is tested in test_decode_apart."""


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "DOUBLE"])
def test_wav_of_any_rate_and_depth(tmp_path: Path, rate: int, subtype: str) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(rate), rate, subtype=subtype)
    clip = load_clip(path, reference="a tone")
    assert clip.samples.dtype == np.float32
    assert clip.samples.ndim == 1
    assert abs(len(clip.samples) - SECONDS * 16_000) <= 1
    assert abs(level_db(clip.samples)) < 0.1
    assert clip.warnings == ()
    assert (clip.name, clip.path, clip.reference, clip.speech) == ("tone.wav", path, "a tone", True)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3", "aiff", "caf", "au"])
def test_formats_of_libsndfile(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"tone.{ending}"
    soundfile.write(path, tone(44_100), 44_100)
    clip = load_clip(path)
    assert abs(clip.seconds - SECONDS) < 0.05
    assert abs(level_db(clip.samples)) < 0.5  # LAME turns down by 5 %
    assert clip.warnings == ()


@pytest.mark.parametrize(
    ("ending", "container", "codec"),
    [
        ("m4a", "ipod", "aac"),
        ("mp4", "mp4", "aac"),
        ("webm", "webm", "libopus"),
        ("opus", "ogg", "libopus"),
        ("mkv", "matroska", "pcm_s16le"),
        ("aac", "adts", "aac"),
        ("mp3", "mp3", "libmp3lame"),
        ("m4a", "ipod", "alac"),
    ],
)
def test_formats_of_ffmpeg(tmp_path: Path, ending: str, container: str, codec: str) -> None:
    stereo = np.stack([tone(48_000), tone(48_000)], axis=1)
    clip = load_clip(encode(tmp_path / f"tone.{ending}", container, codec, stereo))
    assert abs(clip.seconds - SECONDS) < 0.05
    assert abs(level_db(clip.samples)) < 0.5
    assert clip.warnings == ()


@pytest.mark.parametrize(("layout", "channels"), [("6.1", 7), ("7.1", 8), ("hexadecagonal", 16)])
def test_planar_frames_of_many_channels(layout: str, channels: int) -> None:
    import av

    planes = np.stack([tone(48_000) * index for index in range(channels)])
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(planes.T).reshape(1, -1), format="flt", layout=layout)
    frame.sample_rate = 48_000
    (planar,) = av.AudioResampler(format="fltp", layout=layout, rate=48_000).resample(frame)
    assert np.array_equal(frame_samples(planar), planes.T)


def test_sound_of_a_video(tmp_path: Path) -> None:
    clip = load_clip(video(tmp_path / "film.mp4", tone(48_000)))
    assert abs(clip.seconds - SECONDS) < 0.05


def test_channels_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "two.wav"
    soundfile.write(path, np.stack([tone(16_000), 0 * tone(16_000)], axis=1), 16_000, subtype="FLOAT")
    assert np.array_equal(load_clip(path).samples, tone(16_000) / 2)
    six = tmp_path / "six.wav"
    soundfile.write(six, np.stack([tone(48_000)] * 6, axis=1), 48_000)
    assert abs(level_db(load_clip(six).samples)) < 0.1


def test_tones_above_the_new_band_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "high.wav"
    soundfile.write(path, tone(48_000, frequency=11_000) + tone(48_000) * 0.01, 48_000, subtype="FLOAT")
    samples = load_clip(path).samples[2000:-2000]
    # 11 kHz would be heard at 5 kHz; only the tone 40 dB below it may stay.
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    alias = spectrum[round(5000 * len(samples) / 16_000)]
    assert alias < 1e-3 * spectrum.max()


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_blocks_give_what_one_call_gives(tmp_path: Path, rate: int) -> None:
    import soxr

    noise = np.random.default_rng(1).normal(0, 0.1, rate * 5).astype(np.float32)
    path = tmp_path / "noise.wav"
    soundfile.write(path, noise, rate, subtype="FLOAT")
    assert np.allclose(load_clip(path).samples, soxr.resample(noise, rate, 16_000, "HQ"), atol=1e-6)
    assert np.array_equal(load_clip(path).samples, from_samples(noise, rate, "noise").samples)


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint8", "float32", "float64"])
def test_samples_in_memory(dtype: str) -> None:
    samples = tone(16_000)
    if dtype == "uint8":
        samples = np.round(samples * 128 + 128)
    elif dtype.startswith("int"):
        samples = samples.astype(np.float64) * -float(np.iinfo(dtype).min)
    clip = from_samples(samples.astype(dtype), 16_000, "recording", reference="said")
    assert abs(level_db(clip.samples)) < 0.1
    assert (clip.path, clip.name, clip.reference) == (None, "recording", "said")


def test_floats_above_full_scale_are_counted_and_clamped(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    samples = tone(16_000)
    samples[[100, 200, 300]] = [1.5, -2.0, 1.0]
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    clip = load_clip(path)
    assert clip.warnings == ("2 samples above full scale were clamped, the largest 2 times full scale",)
    assert np.abs(clip.samples).max() == 1.0


def test_overshoot_of_resampling_stays_within_full_scale() -> None:
    square = np.sign(tone(48_000, frequency=440)).astype(np.float32)
    clip = from_samples(square, 48_000, "square")
    assert np.abs(clip.samples).max() == 1.0
    assert not any("clamped" in warning for warning in clip.warnings)


def test_memory_is_that_of_the_clip(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 48_000, 2, "PCM_16") as file:
        minute = np.stack([tone(48_000, 60)] * 2, axis=1)
        for _ in range(5):
            file.write(minute)
    del minute
    load_clip(path)
    tracemalloc.start()
    try:
        clip = load_clip(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert clip.samples.nbytes == 300 * 16_000 * 4
    assert peak < 1.3 * clip.samples.nbytes + 4e6


def test_ffmpeg_is_not_imported_for_what_libsndfile_reads(tmp_path: Path) -> None:
    path = tmp_path / "tone.flac"
    soundfile.write(path, tone(16_000), 16_000)
    code = (
        "import sys; from pathlib import Path; from speedtest_tui.core.audio import decode, devices, level;"
        "assert not {'numpy', 'soundfile', 'av', 'soxr', 'sounddevice'} & set(sys.modules);"
        "decode.load_clip(Path(sys.argv[1])); assert not {'av', 'soxr', 'textual'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
