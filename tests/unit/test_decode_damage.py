"""Damaged files give what can be saved of them and say so, or one line."""

from __future__ import annotations

import contextlib
import functools
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_files import MAKERS, tone

from speedtest_tui.core.audio import decode
from speedtest_tui.core.errors import UserError

load_clip = functools.partial(decode.load_clip, apart=False)
"""In this process: what a child does for each file is tested in test_decode_apart."""


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
