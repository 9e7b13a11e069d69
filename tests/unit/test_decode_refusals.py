"""Everything that must be refused in one line."""

from __future__ import annotations

import functools
import os
import random
import stat
import struct
import tracemalloc
import zipfile
from io import FileIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_files import tone, video

from speedtest_tui.core.audio import decode, decoder
from speedtest_tui.core.audio.conform import MAX_SECONDS
from speedtest_tui.core.audio.decode import from_samples
from speedtest_tui.core.errors import UserError

load_clip = functools.partial(decode.load_clip, apart=False)
"""In this process: what a child does for each file is tested in test_decode_apart."""


def test_samples_in_memory_that_are_wrong() -> None:
    with pytest.raises(ValueError, match="shape"):
        from_samples(np.zeros((2, 2, 2)), 16_000, "cube")
    with pytest.raises(ValueError, match="rate"):
        from_samples(np.zeros(2000), 1, "slow")
    with pytest.raises(TypeError, match="complex"):
        from_samples(np.zeros(2000, dtype=np.complex64), 16_000, "complex")
    with pytest.raises(UserError, match="no samples"):
        from_samples(np.zeros((0, 2), dtype=np.int16), 48_000, "nothing")


def test_video_without_sound(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no audio track"):
        load_clip(video(tmp_path / "film.mp4"))


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
    monkeypatch.setattr("speedtest_tui.core.audio.conform.MAX_SECONDS", 1)
    with pytest.raises(UserError, match="longer than"):
        from_samples(tone(16_000), 16_000, "long")
    assert MAX_SECONDS == 14_400


def test_what_says_that_it_is_too_long_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with soundfile.SoundFile(tmp_path / "long.flac", "w", 4_000, 1, "PCM_16") as file:
        for _ in range(5):
            file.write(np.zeros(3600 * 4_000, dtype=np.int16))
    monkeypatch.setattr("speedtest_tui.core.audio.conform.Conformer.add", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(UserError, match="longer than 4 hours"):
        load_clip(tmp_path / "long.flac", apart=False)


def test_what_only_turns_out_too_long_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples go where they are wanted as they come; the limit holds on the way."""
    soundfile.write(tmp_path / "a.wav", tone(160_000), 16_000)
    with FileIO(tmp_path / "a.wav") as file, FileIO(tmp_path / "out", "w+") as out:
        decoded = decoder.decode(file, "a.wav", target=out)
        assert not len(decoded.samples)
        written = np.fromfile(tmp_path / "out", "<f4")
        assert decoded.count == len(written)
        assert np.array_equal(written, load_clip(tmp_path / "a.wav").samples)
        monkeypatch.setattr("speedtest_tui.core.audio.conform.MAX_SECONDS", 5)
        file.seek(0)
        with pytest.raises(UserError, match="longer than"):
            decoder.decode(file, "a.wav", target=out)
        assert (tmp_path / "out").stat().st_size <= 5 * 16_000 * 4


@pytest.mark.parametrize("name", ["two words.wav", "größe 音.wav", "line\nbreak\x1b[31m.wav", b"caf\xe9.wav"])
def test_names_stay_on_one_line(tmp_path: Path, name: str | bytes, request: pytest.FixtureRequest) -> None:
    if isinstance(name, bytes):
        request.getfixturevalue("any_name")
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
