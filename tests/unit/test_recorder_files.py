"""Recordings on disk, clips made of them, trimming, and what is said about them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.base import SAMPLE_RATE
from speedtest_tui.core.audio import recording, spool, view
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.audio.decode import from_samples
from speedtest_tui.core.audio.recording import diagnose, terminal_name
from speedtest_tui.core.audio.spool import Facts, SpoolWriter
from speedtest_tui.core.errors import UserError

FACTS = Facts(48_000.0, 2, "Toy microphone", how="stopped")


def tone(seconds: float, rate: int, amplitude: float = 0.3) -> Any:
    """A 440 Hz sine that swells four times a second, as speech does; float32, shape (n,)."""
    times = np.arange(round(seconds * rate)) / rate
    swell = np.maximum(0.0, np.sin(2 * np.pi * 4 * times))
    return (amplitude * swell * np.sin(2 * np.pi * 440 * times)).astype(np.float32)


def write(folder: Path, frames: Any, facts: Facts = FACTS, *, close: bool = True) -> SpoolWriter:
    writer = SpoolWriter(folder, facts)
    writer.append(frames)
    if close:
        writer.close()
    return writer


def stereo(left: Any, right: Any) -> Any:
    return np.stack([left, right], axis=1)


def test_a_recording_becomes_a_clip(tmp_path: Path) -> None:
    sound = tone(2.0, 48_000)
    path = write(tmp_path, stereo(sound, sound)).path
    found = recording.open_recording(path)
    assert found.seconds == pytest.approx(2.0)
    clip = found.clip("take 1")
    assert (clip.name, clip.warnings, clip.speech) == ("take 1", (), True)
    assert len(clip.samples) == 2 * SAMPLE_RATE
    assert np.abs(clip.samples).max() == pytest.approx(0.3, abs=0.005)
    assert path.exists()
    found.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dead", [0, 1])
def test_a_channel_without_a_microphone_does_not_halve_the_level(tmp_path: Path, dead: int) -> None:
    channels = [tone(1.0, 48_000), tone(1.0, 48_000)]
    channels[dead] = channels[dead] * np.float32(1e-5)
    clip = recording.open_recording(write(tmp_path, stereo(*channels)).path).clip()
    assert np.abs(clip.samples).max() == pytest.approx(0.3, abs=0.005)


def test_live_channels_that_are_no_neighbours(tmp_path: Path) -> None:
    sound, dead = tone(1.0, 48_000), np.zeros(48_000, np.float32)
    path = write(tmp_path, np.stack([sound, dead, sound], axis=1), dataclasses.replace(FACTS, channels=3)).path
    assert np.abs(recording.open_recording(path).clip().samples).max() == pytest.approx(0.3, abs=0.005)


def test_only_what_nobody_holds_is_left_over(tmp_path: Path) -> None:
    sound = stereo(tone(1.0, 48_000), tone(1.0, 48_000))
    growing = write(tmp_path, sound, close=False)
    left = write(tmp_path, sound, dataclasses.replace(FACTS, how="")).path
    write(tmp_path, sound[:100])
    (tmp_path / "stray.f32").write_bytes(b"1234")
    found = recording.leftovers(tmp_path)
    assert [item.path for item in found] == [left]
    assert "program was ended" in found[0].clip().warnings[0] and not found[0].facts.seen
    found[0].mark_seen()
    assert recording.open_recording(left).facts == dataclasses.replace(found[0].facts, seen=True)
    # Whoever has listed it holds it.
    assert recording.leftovers(tmp_path) == ()
    del found
    growing.close()
    assert {item.path for item in recording.leftovers(tmp_path)} == {left, growing.path}
    spool.discard(left)
    spool.discard(left)
    assert not left.exists()


def test_a_torn_last_frame_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, stereo(tone(1.0, 48_000), tone(1.0, 48_000))).path
    with path.open("ab") as file:
        file.write(b"12345")
    assert recording.open_recording(path).seconds == 1.0
    assert recording.open_recording(path).clip().seconds == 1.0


def test_a_recording_that_becomes_shorter_while_it_is_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, stereo(tone(9.0, 48_000), tone(9.0, 48_000))).path
    real = spool.blocks

    def shrinking(*arguments: Any) -> Iterator[Any]:
        for block in real(*arguments):
            yield block
            os.truncate(path, 1_500_000)

    monkeypatch.setattr(spool, "blocks", shrinking)
    with pytest.raises(UserError, match="became shorter while it was read"):
        recording.open_recording(path).clip()


def test_recordings_are_for_their_owner_only(tmp_path: Path) -> None:
    path = write(tmp_path / "recordings", stereo(tone(1.0, 48_000), tone(1.0, 48_000))).path
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "changes", [{"schema": 2}, {"rate": 1.0}, {"rate": "fast"}, {"channels": 0}, {"device": 3}, {"channels": 10**9}]
)
def test_sidecars_that_are_none(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = write(tmp_path, stereo(tone(1.0, 48_000), tone(1.0, 48_000))).path
    sidecar = path.with_suffix(".json")
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), **changes}))
    with pytest.raises(ValueError, match=r"."):
        recording.open_recording(path)
    assert recording.leftovers(tmp_path) == ()
    assert path.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"how": "lost", "reason": "the device was unplugged"}, "broke off: the device was unplugged"),
        ({"missing_s": 0.25}, "250 ms are missing"),
        ({"overflows": 3}, "3 times"),
        ({"dropped_frames": 4800}, "100 ms were dropped"),
    ],
)
def test_what_is_missing_stays_with_the_clip(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    sound = tone(1.0, 48_000)
    path = write(tmp_path, stereo(sound, sound), dataclasses.replace(FACTS, **changes)).path
    assert words in recording.open_recording(path).clip().warnings[0]


def speech_between(before: float, after: float, room_db: float = -70.0) -> Clip:
    noise = np.random.default_rng(5).normal(0, 10 ** (room_db / 20), round((before + 2 + after) * SAMPLE_RATE))
    samples = noise.astype(np.float32)
    begin = round(before * SAMPLE_RATE)
    samples[begin : begin + 2 * SAMPLE_RATE] += tone(2.0, SAMPLE_RATE)
    return from_samples(samples, SAMPLE_RATE, "clip", reference="words")


@pytest.mark.parametrize("room_db", [-90.0, -70.0, -45.0])
def test_trim_keeps_the_speech_and_a_margin(room_db: float) -> None:
    clip = speech_between(3.0, 2.0, room_db)
    found = view.suggest(clip)
    assert found
    assert found.begin_s == pytest.approx(3.0 - view.MARGIN_S, abs=0.06)
    # The last swell of the tone ends an eighth of a second before its two seconds are over.
    assert found.end_s == pytest.approx(5.0 - 0.125 + view.MARGIN_S, abs=0.06)
    cut = view.apply(clip, found)
    assert cut.seconds == pytest.approx(found.full_s - found.removed_s)
    assert np.shares_memory(cut.samples, clip.samples)
    assert (cut.reference, cut.name) == ("words", "clip")
    assert clip.seconds == 7.0


def test_a_click_is_not_the_first_word() -> None:
    clip = speech_between(3.0, 0.0)
    clip.samples[SAMPLE_RATE : SAMPLE_RATE + 300] = 0.8
    found = view.suggest(clip)
    assert found
    assert found.begin_s > 2.5


@pytest.mark.parametrize("clip", [speech_between(0.1, 0.1), from_samples(np.zeros(32_000, np.float32), 16_000, "zero")])
def test_nothing_to_trim(clip: Clip) -> None:
    assert view.suggest(clip) is None


def test_trimming_takes_warnings_about_the_level_along() -> None:
    samples = np.concatenate([np.zeros(32_000, np.float32), tone(2.0, SAMPLE_RATE)])
    clip = dataclasses.replace(from_samples(samples, SAMPLE_RATE, "clip"), path=None)
    clip = dataclasses.replace(clip, warnings=("10 ms are missing", *clip.warnings))
    assert len(clip.warnings) == 2
    assert view.apply(clip, view.Trim(2.0, 4.0, 4.0)).warnings == ("10 ms are missing",)


@pytest.mark.parametrize("stretch", [(-1.0, 1.0), (1.0, 1.05), (1.0, 9.0), (2.0, 1.0)])
def test_impossible_trims(stretch: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="no usable part"):
        view.apply(speech_between(0.0, 0.0), view.Trim(*stretch, 2.0))


def kinds(samples: Any, facts: Facts = FACTS, **rest: Any) -> dict[str, str]:
    return {f.kind: str(f.advice) for f in diagnose(from_samples(samples, SAMPLE_RATE, "clip"), facts, **rest)}


ZEROS = np.zeros(2 * SAMPLE_RATE, np.float32)


def test_zeros_on_macos_name_the_terminal_and_the_place() -> None:
    said = kinds(ZEROS, platform="darwin", environment={"TERM_PROGRAM": "iTerm.app"})["digital-silence"]
    assert "allow iTerm in System Settings > Privacy & Security > Microphone" in said
    assert "restart iTerm" in said


def test_zeros_on_linux() -> None:
    said = kinds(ZEROS, platform="linux", environment={})["digital-silence"]
    assert "muted" in said
    assert "'Toy microphone'" in said


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"TERM_PROGRAM": "Apple_Terminal"}, "Terminal"),
        ({"TERM_PROGRAM": "tmux", "LC_TERMINAL": "iTerm2"}, "iTerm"),
        ({"TERM_PROGRAM": "tmux"}, "this terminal application"),
        ({"TERM_PROGRAM": "Some\x1bTerm"}, "this terminal application"),
        ({"TERM_PROGRAM": "Rio"}, "Rio"),
        ({}, "this terminal application"),
    ],
)
def test_terminal_names(environment: dict[str, str], name: str) -> None:
    assert terminal_name(environment) == name


def test_other_findings() -> None:
    good = tone(2.0, SAMPLE_RATE) + np.random.default_rng(5).normal(0, 1e-4, 2 * SAMPLE_RATE).astype(np.float32)
    assert kinds(good) == {}
    assert "clipped" in kinds((good * 8).clip(-1, 1))
    assert "quiet" in kinds(good * 0.01)
    assert "no-speech" in kinds(good * 0.0005)
    assert "1.0 s in a row" in kinds(np.concatenate([np.zeros(16_000, np.float32), good]))["zeros"]
    assert "250 ms" in kinds(good, dataclasses.replace(FACTS, missing_s=0.25))["incomplete"]


@pytest.mark.parametrize(
    ("device", "rate", "said"),
    [
        ("Anna's AirPods Pro", 24_000.0, True),
        ("AirPods Max", 48_000.0, False),
        ("Toy", 16_000.0, True),
        ("Toy", 24_000.0, False),
    ],
)
def test_bluetooth(device: str, rate: float, said: bool) -> None:
    facts = dataclasses.replace(FACTS, device=device, rate=rate)
    assert ("bluetooth" in kinds(tone(2.0, SAMPLE_RATE), facts)) is said
