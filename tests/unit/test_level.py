"""What a clip's levels say: silence, zeros, quiet speech and clipping, and nothing where all is well."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from speedtest_tui.core.audio import level
from speedtest_tui.core.audio.decode import from_samples

RATE = 16_000


def sine(amplitude: float, seconds: float = 2.0, frequency: float = 1000.0) -> Any:
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(int(RATE * seconds)) / RATE)).astype(np.float32)


def noise(rms_db: float, seconds: float = 5.0) -> Any:
    values = np.random.default_rng(3).normal(0, 10 ** (rms_db / 20), int(RATE * seconds))
    return np.clip(values, -1, 1).astype(np.float32)


def syllables(rms_db: float, seconds: float = 5.0) -> Any:
    """Noise that swells four times a second, as speech does."""
    times = np.arange(int(RATE * seconds)) / RATE
    return (noise(rms_db, seconds) * (0.01 + np.maximum(0, np.sin(2 * np.pi * 4 * times)))).astype(np.float32)


def test_definition_of_dbfs() -> None:
    measured = level.measure(sine(0.5))
    assert measured.peak_db == pytest.approx(-6.02, abs=0.01)
    assert measured.rms_db == pytest.approx(-9.03, abs=0.01)
    square = level.measure(np.where(sine(1.0) >= 0, 1, -1).astype(np.float32))
    assert square.rms_db == pytest.approx(0, abs=1e-6)


def test_nothing_to_say_of_good_speech() -> None:
    measured = level.measure(syllables(-20))
    assert measured.speech
    assert level.warnings(measured) == ()


def test_digital_silence() -> None:
    measured = level.measure(np.zeros(2 * RATE, dtype=np.float32))
    assert not measured.speech
    assert measured.exact_zero == 2.0
    assert measured.peak_db == measured.rms_db == measured.active_db == level.FLOOR_DB
    (warning,) = level.warnings(measured)
    assert warning.startswith("silent: all 2.0 s")


@pytest.mark.parametrize("rms_db", [-98, -70, -62, -50])
def test_steady_noise_is_not_speech(rms_db: float) -> None:
    measured = level.measure(noise(rms_db))
    assert not measured.speech
    assert f"{rms_db} dBFS" in level.warnings(measured)[0]


def test_a_click_or_an_offset_is_not_speech() -> None:
    click = noise(-80)
    click[8000:8300] = 0.9
    assert not level.measure(click).speech
    assert not level.measure(noise(-80) + np.float32(0.1)).speech


@pytest.mark.parametrize("rms_db", [-10, -30, -45, -52])
def test_speech_is_found_at_any_usable_level(rms_db: float) -> None:
    assert level.measure(syllables(rms_db)).speech
    lone = np.concatenate([noise(-75, 60), syllables(rms_db, 0.5), noise(-75, 60)])
    assert level.measure(lone).speech


def test_quiet_speech_is_said_to_be_quiet() -> None:
    (warning,) = level.warnings(level.measure(syllables(-50)))
    assert "very quiet" in warning
    assert "dBFS" in warning


def test_a_gap_of_exact_zeros_is_named_across_blocks() -> None:
    samples = np.concatenate([syllables(-20, 9.9), np.zeros(int(0.7 * RATE), np.float32), syllables(-20, 3)])
    measured = level.measure(samples)
    assert measured.exact_zero == pytest.approx(0.7, abs=0.001)
    assert level.warnings(measured) == ("0.7 s in a row are exact zeros (muted, interrupted or edited)",)


@pytest.mark.parametrize(("rate", "turned_down"), [(16_000, 1.0), (16_000, 0.5), (44_100, 1.0), (48_000, 1.0)])
def test_clipping_is_counted(rate: int, turned_down: float) -> None:
    times = np.arange(rate * 2) / rate
    cut = np.clip(2 * np.sin(2 * np.pi * 300 * times), -1, 1) * turned_down
    clip = from_samples(cut.astype(np.float32), rate, "cut")
    measured = level.measure(clip.samples)
    assert 1000 <= measured.clipped_peaks <= 1200
    assert 0.3 < measured.clipped / len(clip.samples) < 0.75
    assert f"{measured.clipped} samples" in clip.warnings[-1]


def test_exact_count_of_clipped_samples() -> None:
    samples = syllables(-30, 12)
    for start, length in [(1000, 3), (5000, 4), (512 * 320 - 5, 10), (170_000, 2)]:
        samples[start : start + length] = -1.0
    measured = level.measure(samples)
    assert (measured.clipped, measured.clipped_peaks) == (17, 3)


@pytest.mark.parametrize("frequency", [110.0, 440.0, 1000.0])
def test_loud_is_not_clipped(frequency: float) -> None:
    sixteen_bit = np.round(sine(0.98, frequency=frequency) * 32_767) / 32_768
    assert level.measure(sixteen_bit.astype(np.float32)).clipped == 0
    spike = syllables(-20)
    spike[[100, 900, 5000, 7000]] = 1.0
    assert level.measure(spike).clipped == 0


@pytest.mark.parametrize("length", [1, 319, 320, 321, 1600])
def test_any_length(length: int) -> None:
    measured = level.measure(sine(0.5)[100 : 100 + length])
    assert measured.seconds == length / RATE
    assert level.measure(noise(-20)[:1600]).speech


def test_no_copy_of_a_long_clip() -> None:
    samples = np.tile(syllables(-20, 60), 10)
    tracemalloc.start()
    try:
        level.measure(samples)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < samples.nbytes / 8
