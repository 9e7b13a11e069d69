"""Damaged audio files of every kind: `python tools/fuzz/fuzz_media.py [--rounds N] [--seed S] [--seconds S] [--short]`.

A second of sound in each container and codec below, changed in some places and decoded as the program's decoder does,
in a fork. What ends its fork by a signal is opened again as the program does it: that has to be one line for a person.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import av  # noqa: F401
import numpy as np
import soundfile  # noqa: F401
import soxr  # noqa: F401
from common import Room, fuzz, mutate

from speedtest_tui.core.audio import decoder, ffmpeg
from speedtest_tui.core.audio.decode import load_clip
from speedtest_tui.core.errors import UserError

sys.path[:0] = [str(Path(__file__).parents[2] / "tests" / "unit")]
from audio_files import encode  # noqa: E402

KINDS = """
wav/pcm_s16le wav/adpcm_ima_wav wav/pcm_f64le w64/pcm_f32le aiff/pcm_s16be caf/pcm_s24le au/pcm_mulaw flac/flac
ogg/libopus ogg/flac mp3/libmp3lame adts/aac ipod/aac mov/alac mov/pcm_s16le matroska/pcm_s16le matroska/ac3
webm/libopus avi/adpcm_ms flv/adpcm_swf mpegts/mp2 asf/adpcm_ms wv/wavpack tta/tta voc/pcm_u8 ac3/ac3 eac3/eac3
nut/pcm_s16be sox/pcm_s32le mp4/mp2 mov/pcm_s16le/8 matroska/flac/6 caf/alac/2
"""
"""Container, codec and number of channels, where that is not one."""

RATES = {"adpcm_swf": 44_100}
MOST_SAMPLES = 1_200_000
"""Of one second a damaged header may make more, but not without end."""


@functools.cache
def whole(kind: str) -> bytes:
    """A file of a kind."""
    container, codec, *channels = kind.split("/")
    rate = RATES.get(codec, 48_000)
    sound: Any = np.random.default_rng(2).normal(0, 0.1, (rate, *map(int, channels))).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        made: Path = encode(Path(folder) / "whole", container, codec, sound, rate)
        return made.read_bytes()


def read(path: Path) -> None:
    """As the program's decoder reads it."""
    try:
        with ffmpeg.QuietFile(str(path), "rb") as file:
            samples = decoder.decode(file, "mutant").samples
    except UserError:
        return
    if len(samples) and not (np.isfinite(samples).all() and np.abs(samples).max() <= 1):
        raise ValueError("samples that are none")
    if len(samples) > MOST_SAMPLES:
        raise ValueError(f"{len(samples)} samples of one second")


def round_of(room: Room) -> None:
    """One mutant."""
    path = room.folder / "mutant"
    path.write_bytes(mutate(whole(room.dice.choice(KINDS.split())), room.dice))
    with tempfile.TemporaryFile(buffering=0) as fault:
        if not (child := os.fork()):
            try:
                read(path)
            except BaseException:
                fault.write(traceback.format_exc().encode("utf-8", "replace"))
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        fault.seek(0)
        if text := fault.read():
            raise AssertionError(text.decode())
    if os.WIFSIGNALED(status):
        try:
            load_clip(path)
        except UserError as error:
            print(f"a decoder's process ended by signal {os.WTERMSIG(status)}, said as: {error}")
    if extra := [entry.name for entry in room.folder.iterdir() if entry != path]:
        raise AssertionError(f"made {extra}")


if __name__ == "__main__":
    for kind in KINDS.split():
        whole(kind)
    sys.exit(fuzz("audio files", round_of, rounds=500 * len(KINDS.split()), short=200))
