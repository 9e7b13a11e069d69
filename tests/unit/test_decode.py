"""Files of all kinds to clips, and everything that must be refused in one line."""

from __future__ import annotations

import contextlib
import os
import random
import stat
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from speedtest_tui.core.audio import decode
from speedtest_tui.core.audio.decode import MAX_SECONDS, from_samples, load_clip, one_line
from speedtest_tui.core.errors import UserError

SECONDS = 1.5


def tone(rate: int, seconds: float = SECONDS, frequency: float = 1000.0, amplitude: float = 0.5) -> Any:
    """A sine, float32, shape (n,)."""
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def level_db(samples: Any) -> float:
    """Level of a sine's middle, in dB against the amplitude 0.5."""
    middle = samples[len(samples) // 4 : -len(samples) // 4].astype(np.float64)
    return float(20 * np.log10(np.sqrt(2 * np.mean(middle**2)) / 0.5))


def encode(path: Path, container: str, codec: str, samples: Any, rate: int = 48_000) -> Path:
    """Write mono or (n, 2) float32 samples through FFmpeg's libraries."""
    import av

    layout = "mono" if samples.ndim == 1 else "stereo"
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
    assert np.array_equal(decode._frame_samples(planar), planes.T)


def test_sound_of_a_video(tmp_path: Path) -> None:
    clip = load_clip(video(tmp_path / "film.mp4", tone(48_000)))
    assert abs(clip.seconds - SECONDS) < 0.05


def test_video_without_sound(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no audio track"):
        load_clip(video(tmp_path / "film.mp4"))


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


def test_samples_in_memory_that_are_wrong() -> None:
    with pytest.raises(ValueError, match="shape"):
        from_samples(np.zeros((2, 2, 2)), 16_000, "cube")
    with pytest.raises(ValueError, match="rate"):
        from_samples(np.zeros(2000), 1, "slow")
    with pytest.raises(TypeError, match="complex"):
        from_samples(np.zeros(2000, dtype=np.complex64), 16_000, "complex")
    with pytest.raises(UserError, match="no samples"):
        from_samples(np.zeros((0, 2), dtype=np.int16), 48_000, "nothing")


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


def wav_header(rate: int = 16_000, channels: int = 1, data: int = 0, align: int = 2) -> bytes:
    chunk = struct.pack(
        "<4sIHHIIHH4sI", b"fmt ", 16, 1, channels, rate, (rate * align) % 2**32, align, 16, b"data", data
    )
    return b"RIFF" + struct.pack("<I", (36 + data) % 2**32) + b"WAVE" + chunk


def _noise_bytes() -> bytes:
    return random.Random(4).randbytes(20_000)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"dear diary, \xc3\xa4nd so on\n" * 40, "looks like text"),
        (b"x", "not audio"),
        (_noise_bytes(), "not audio"),
        (b"\x89PNG\r\n\x1a\n" + _noise_bytes(), "looks like an image"),
        (b"\xff\xd8\xff\xe0" + _noise_bytes(), "looks like an image"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nother.aac\n#EXT-X-ENDLIST\n", "not audio"),
        (b"ffconcat version 1.0\nfile other.aac\n", "not audio"),
        (wav_header(), "no samples"),
        (wav_header(data=0xFFFFFFF0), "no samples"),
        (wav_header(rate=0, data=64_000) + bytes(64_000), ""),
        (wav_header(rate=1, data=64_000) + bytes(64_000), "sampling rate of 1 Hz"),
        (wav_header(rate=2**31 - 1, data=64_000) + bytes(64_000), "sampling rate"),
        (wav_header(channels=0, data=64_000) + bytes(64_000), ""),
        (wav_header(channels=65_535, data=64_000) + bytes(64_000), ""),
        (wav_header(data=3000) + bytes(3000), "94 ms long"),
    ],
)
def test_refused_content(tmp_path: Path, content: bytes, expected: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(UserError) as caught:
            load_clip(path)
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()
    assert expected in caught.value.what
    assert "\n" not in str(caught.value)
    assert caught.value.todo
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_refuses_samples_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    path = tmp_path / "broken.wav"
    samples = tone(48_000).astype(np.float64)
    samples[40_000] = value
    soundfile.write(path, samples, 48_000, subtype="DOUBLE")
    with pytest.raises(UserError, match="NaN or infinite"):
        load_clip(path)


def test_refuses_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "talk.mp3", "w") as archive:
        archive.writestr("talk.wav", "no")
    with pytest.raises(UserError, match="zip archive"):
        load_clip(tmp_path / "talk.mp3")


def test_refuses_what_is_no_readable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for path, expected in [
        (tmp_path / "missing.wav", "does not exist"),
        (tmp_path / "file" / "below.wav", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / "nul\0.wav", "cannot be opened"),
        (tmp_path / ("long" * 100), "cannot be opened"),
        (Path(os.devnull), "not a plain file"),
    ]:
        with pytest.raises(UserError, match=expected):
            load_clip(path)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UserError, match="may not be read"):
        load_clip(tmp_path / "file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_a_fifo_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fifo = tmp_path / "pipe.wav"
    os.mkfifo(fifo)
    with pytest.raises(UserError, match="not a plain file"):
        load_clip(fifo)
    # Nor where it took the place of a file after that was looked at.
    monkeypatch.setattr(stat, "S_ISREG", lambda mode, real=stat.S_ISREG: real(mode) or stat.S_ISFIFO(mode))
    with pytest.raises(UserError):
        load_clip(fifo)


def test_refuses_more_than_four_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speedtest_tui.core.audio.decode.MAX_SECONDS", 1)
    with pytest.raises(UserError, match="longer than"):
        from_samples(tone(16_000), 16_000, "long")
    assert MAX_SECONDS == 14_400


@pytest.mark.parametrize("name", ["two words.wav", "größe 音.wav", "line\nbreak\x1b[31m.wav", b"caf\xe9.wav"])
def test_names_stay_on_one_line(tmp_path: Path, name: str | bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    soundfile.write(path.with_name("plain.wav"), tone(16_000), 16_000)
    path.with_name("plain.wav").rename(path)
    clip = load_clip(path)
    assert clip.name.isprintable()
    assert clip.name.encode()
    assert clip.path == path
    path.write_bytes(b"")
    with pytest.raises(UserError) as caught:
        load_clip(path)
    assert str(caught.value).isprintable()


def test_one_line_leaves_ordinary_names_alone() -> None:
    assert one_line("größe 音 'x'.wav") == "größe 音 'x'.wav"
    assert one_line("a\nb\u202ec\x1b") == "a\\nb\\u202ec\\x1b"


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


@pytest.mark.parametrize("ending", MAKERS)
def test_damaged_files_give_a_clip_or_one_line(tmp_path: Path, ending: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"whole.{ending}"
    MAKERS[ending](path)
    whole = path.read_bytes()
    dice = random.Random(7)
    variants = [whole[: len(whole) * part // 30] for part in range(30)]
    for _ in range(30):
        broken = bytearray(whole)
        # Half of the flips in the header, where lengths and rates are.
        for _ in range(8):
            reach = 200 if dice.random() < 0.5 else len(broken)
            broken[dice.randrange(min(reach, len(broken)))] = dice.randrange(256)
        variants.append(bytes(broken))
    for variant in variants:
        path.write_bytes(variant)
        try:
            clip = load_clip(path)
        except UserError as error:
            assert str(error).isprintable()
        else:
            assert np.isfinite(clip.samples).all()
            assert np.abs(clip.samples).max() <= 1
            assert len(clip.samples) < 40 * 32_000
    assert capfd.readouterr() == ("", "")


def test_an_index_that_points_before_the_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lost.caf"
    soundfile.write(path, tone(16_000), 16_000)
    whole = path.read_bytes()
    dice = random.Random(5)
    for _ in range(200):
        broken = bytearray(whole)
        for _ in range(3):
            broken[dice.randrange(8, 100)] = 255
        path.write_bytes(broken)
        with contextlib.suppress(UserError):
            load_clip(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3", "webm"])
def test_a_cut_file_keeps_what_came_and_says_so(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"cut.{ending}"
    MAKERS[ending](path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    clip = load_clip(path)
    assert 0.3 < clip.seconds < 1.5
    assert f"only {clip.seconds:.1f} s" in clip.warnings[0]


def test_an_mp4_without_its_index_is_called_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "cut.m4a"
    MAKERS["m4a"](path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="cut short"):
        load_clip(path)


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
