"""Files as recorders, phones and screen recorders leave them: all of their sound, or one line that says why not."""

from __future__ import annotations

import functools
import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from audio_files import encode, level_db, tone

from speedtest_tui.core.audio import decode
from speedtest_tui.core.errors import UserError

load_clip = functools.partial(decode.load_clip, apart=False)
"""In this process: what a child does for each file is tested in test_decode_apart."""

RATE = 48_000
SOUND = tone(RATE)


def seconds(path: Path) -> float:
    return round(load_clip(path).seconds, 1)


def wav(path: Path, samples: Any = SOUND) -> bytearray:
    soundfile.write(path, samples, RATE, "PCM_16")
    return bytearray(path.read_bytes())


def with_length(content: bytearray, length: int) -> bytes:
    """The same WAV whose data chunk states another length."""
    place = content.index(b"data") + 4
    return bytes(content[:place] + length.to_bytes(4, "little") + content[place + 4 :])


@pytest.mark.parametrize("second", [-1.0, -0.98, -1.01])
def test_channels_that_cancel_each_other(tmp_path: Path, second: float) -> None:
    wav(tmp_path / "a.wav", np.stack([SOUND, second * SOUND], 1))
    clip = load_clip(tmp_path / "a.wav")
    assert abs(level_db(clip.samples)) < 0.3
    assert "channels cancel each other: channel" in " ".join(clip.warnings)


def test_one_loud_channel_of_many_is_no_cancellation(tmp_path: Path) -> None:
    silent = np.zeros_like(SOUND)
    for count in (2, 6, 8):
        soundfile.write(tmp_path / "a.wav", np.stack([SOUND, *[silent] * (count - 1)], 1), RATE)
        clip = load_clip(tmp_path / "a.wav")
        assert not clip.warnings
        assert level_db(clip.samples) == pytest.approx(-20 * np.log10(count), abs=0.3)


def tracks(path: Path, *sounds: Any, codec: str = "pcm_s16le") -> Path:
    """A file with one audio track for each of `sounds`."""
    import av

    with av.open(str(path), "w") as output:
        streams: list[Any] = [output.add_stream(codec, rate=RATE, layout="mono") for _ in sounds]
        for stream, sound in zip(streams, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="flt", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            resampler = av.AudioResampler(format=stream.codec_context.format.name, layout="mono", rate=RATE)
            for part in [*resampler.resample(frame), None]:
                output.mux(stream.encode(part))
    return path


@pytest.mark.parametrize("ending", ["mka", "mov", "mkv"])
@pytest.mark.parametrize("quiet", [0.0, 0.0005, 0.02])
def test_the_first_track_says_nothing(tmp_path: Path, ending: str, quiet: float) -> None:
    path = tracks(tmp_path / f"a.{ending}", quiet * SOUND, SOUND)
    clip = load_clip(path)
    assert abs(level_db(clip.samples)) < 0.3
    assert "it has 2 audio tracks: number 2 was taken, as track 1 is silent" in " ".join(clip.warnings)


def test_a_track_can_be_chosen(tmp_path: Path) -> None:
    path = tracks(tmp_path / "a.mka", SOUND, SOUND / 2, SOUND / 4)
    for number, level in ((1, 0), (2, -6), (3, -12)):
        assert level_db(load_clip(path, track=number).samples) == pytest.approx(level, abs=0.5)
    assert "number 1 was taken (--track chooses)" in " ".join(load_clip(path).warnings)
    with pytest.raises(UserError, match="has 3 audio tracks: choose --track 1 to 3"):
        load_clip(path, track=4)
    wav(tmp_path / "a.wav")
    with pytest.raises(UserError, match="has 1 audio track: choose --track 1 to 1"):
        load_clip(tmp_path / "a.wav", track=2)


def renamed_entries(content: bytes, *names: bytes) -> bytes:
    """An MP4 whose sample entries are called otherwise, track after track."""
    found, place = bytearray(content), 0
    for name in names:
        place = found.index(b"stsd", place) + 16
        found[place : place + 4] = name
    return bytes(found)


@pytest.mark.parametrize("name", [b"drms", b"enca", b"drmi"])
def test_protected_files_are_called_so(tmp_path: Path, name: bytes) -> None:
    path = encode(tmp_path / "a.m4a", "ipod", "aac", SOUND)
    path.write_bytes(renamed_entries(path.read_bytes(), name))
    with pytest.raises(UserError, match=r"is protected \(DRM\)"):
        load_clip(path)


@pytest.mark.parametrize("name", [b"apac", b"xxxx"])
def test_a_track_that_nothing_decodes(tmp_path: Path, name: bytes) -> None:
    path = tracks(tmp_path / "a.mov", SOUND, SOUND / 2)
    path.write_bytes(renamed_entries(path.read_bytes(), name))
    clip = load_clip(path)
    assert level_db(clip.samples) == pytest.approx(-6, abs=0.5)
    assert "number 2 was taken, as track 1 cannot be decoded" in " ".join(clip.warnings)
    path = tracks(tmp_path / "b.mov", SOUND)
    path.write_bytes(renamed_entries(path.read_bytes(), name))
    with pytest.raises(UserError, match=rf"cannot be decoded \({name.decode()}\)"):
        load_clip(path)


def test_64_bit_integers(tmp_path: Path) -> None:
    content = wav(tmp_path / "a.wav")
    place = content.index(b"fmt ") + 8
    data = (np.round(SOUND.astype(np.float64) * 2**62) * 2).astype("<i8").tobytes()
    fmt = content[place : place + 8] + (RATE * 8).to_bytes(4, "little") + bytes([8, 0, 64, 0])
    head = b"WAVEfmt " + (16).to_bytes(4, "little") + bytes(fmt) + b"data" + len(data).to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(b"RIFF" + (len(head) + len(data)).to_bytes(4, "little") + head + data)
    clip = load_clip(tmp_path / "a.wav")
    assert abs(level_db(clip.samples)) < 0.1


@pytest.mark.parametrize("stated", [0.0, 0.3, 1.0])
def test_a_header_that_was_never_finished(tmp_path: Path, stated: float) -> None:
    content = wav(tmp_path / "a.wav")
    (tmp_path / "a.wav").write_bytes(with_length(content, int(stated * RATE) * 2))
    clip = load_clip(tmp_path / "a.wav")
    assert clip.seconds == pytest.approx(1.5, abs=0.02)
    assert "but there is more: all 1.5 s were read" in " ".join(clip.warnings)


@pytest.mark.parametrize("behind", [b"LIST\x04\0\0\0abcd", b"id3 \x02\0\0\0ab", b"\0" * 64, b"\0\0"])
def test_what_may_stand_behind_the_sound(tmp_path: Path, behind: bytes) -> None:
    content = wav(tmp_path / "a.wav")
    (tmp_path / "a.wav").write_bytes(bytes(content) + behind)
    clip = load_clip(tmp_path / "a.wav")
    assert (round(clip.seconds, 2), clip.warnings) == (1.5, ())


def test_sun_audio_without_a_length(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.au", SOUND, RATE, "PCM_16", format="AU")
    content = bytearray((tmp_path / "a.au").read_bytes())
    for length in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
        content[8:12] = length
        (tmp_path / "a.au").write_bytes(content)
        assert seconds(tmp_path / "a.au") == 1.5


@pytest.mark.parametrize("length", [0.2, 1.5])
def test_flac_written_to_a_pipe(tmp_path: Path, length: float) -> None:
    soundfile.write(tmp_path / "a.flac", tone(RATE, length), RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    # STREAMINFO: 36 bits of the number of samples, in bytes 21 to 25.
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(content)
    assert load_clip(tmp_path / "a.flac").seconds == pytest.approx(length, abs=0.01)


@pytest.mark.parametrize("codec", ["libopus", "vorbis", "flac"])
def test_ogg_streams_behind_each_other(tmp_path: Path, codec: str) -> None:
    if codec == "vorbis":
        soundfile.write(tmp_path / "a.ogg", SOUND, RATE)
    else:
        encode(tmp_path / "a.ogg", "ogg", codec, SOUND)
    one = (tmp_path / "a.ogg").read_bytes()
    (tmp_path / "b.ogg").write_bytes(one * 3)
    assert load_clip(tmp_path / "b.ogg").seconds == pytest.approx(4.5, abs=0.2)


@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_16", "PCM_24", "DOUBLE"])
def test_wave64(tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "a.w64", SOUND, RATE, subtype, format="W64")
    assert abs(level_db(load_clip(tmp_path / "a.w64").samples)) < 0.1


def test_voc_of_several_blocks(tmp_path: Path) -> None:
    """Blocks of kind 1: length in 3 bytes, rate divisor, codec 0 (8 bits), samples."""
    data = ((tone(8_000) + 1) * 127.5).astype(np.uint8).tobytes()
    divisor = bytes([256 - 1_000_000 // 8_000, 0])
    parts = [data[start : start + 4_000] for start in range(0, len(data), 4_000)]
    blocks = [b"\x01" + (len(part) + 2).to_bytes(3, "little") + divisor + part for part in parts]
    head = b"Creative Voice File\x1a" + (26).to_bytes(2, "little") + b"\x0a\x01" + b"\x29\x11"
    (tmp_path / "a.voc").write_bytes(head + b"".join(blocks) + b"\0")
    clip = load_clip(tmp_path / "a.voc")
    assert clip.seconds == pytest.approx(1.5, abs=0.05)
    assert abs(level_db(clip.samples)) < 0.5


@pytest.mark.parametrize(
    "tag",
    [
        b"LYRICSBEGININD0000211LYR00010hello wor000041LYRICS200" + b"TAG" + bytes(125),
        b"TAG" + bytes(125),
        b"APETAGEX" + bytes(24),
    ],
    ids=["lyrics3", "id3v1", "ape"],
)
def test_tags_at_the_end_of_an_mp3_are_no_damage(tmp_path: Path, tag: bytes) -> None:
    path = encode(tmp_path / "a.mp3", "mp3", "libmp3lame", SOUND)
    path.write_bytes(path.read_bytes() + tag)
    assert load_clip(path).warnings == ()


@pytest.mark.parametrize("container", ["wav", "w64"])
def test_speex_where_ffmpeg_reads_noise(tmp_path: Path, container: str) -> None:
    """FFmpeg finds no frames in what it wrote itself: 0xA109 is Speex in WAVE's and Wave64's list of formats."""
    path = encode(tmp_path / f"a.{container}", container, "adpcm_ms", tone(16_000), 16_000)
    path.write_bytes(path.read_bytes().replace(b"\x02\x00\x01\x00\x80\x3e", b"\x09\xa1\x01\x00\x80\x3e", 1))
    with pytest.raises(UserError, match=f"holds Speex in a {container.upper()}"):
        load_clip(path)


def test_headerless_telephony_is_known_by_its_ending(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.g722", "g722", "g722", tone(16_000), 16_000)
    assert seconds(path) == 1.5
    path.rename(tmp_path / "a.bin")
    with pytest.raises(UserError, match="is not audio that can be read"):
        load_clip(tmp_path / "a.bin")


@pytest.mark.parametrize(("layout", "kind"), itertools.product((7, 8, 16), ("PCM_16", "FLOAT")))
def test_many_channels(tmp_path: Path, layout: int, kind: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([SOUND] * layout, 1), RATE, kind)
    assert abs(level_db(load_clip(tmp_path / "a.wav").samples)) < 0.1
