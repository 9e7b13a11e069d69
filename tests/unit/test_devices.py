"""Microphones as doctor reports them, with a stand-in for sounddevice: no machine of the tests has one."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from speedtest_tui.core.audio.devices import InputDevice, input_devices


class PortAudioError(Exception):
    """Named as sounddevice's own."""


class Sounddevice(types.ModuleType):
    """Answers as the real module does, noisily."""

    PortAudioError = PortAudioError

    def __init__(self, devices: list[dict[str, Any]], default: int = -1, error: Exception | None = None) -> None:
        super().__init__("sounddevice")
        self._devices = devices
        self._error = error
        self.default = types.SimpleNamespace(device=[default, -1])

    def query_hostapis(self) -> tuple[dict[str, str], ...]:
        os.write(2, b"ALSA lib pcm.c: Unknown PCM\n")
        if self._error:
            raise self._error
        return ({"name": "ALSA"}, {"name": "JACK"})

    def query_devices(self) -> list[dict[str, Any]]:
        return self._devices


def device(index: int, name: str, channels: int, hostapi: int = 0) -> dict[str, Any]:
    return {
        "index": index,
        "name": name,
        "max_input_channels": channels,
        "default_samplerate": 44_100.0,
        "hostapi": hostapi,
    }


@pytest.fixture
def broken_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("sounddevice", None)


def test_inputs_only_with_the_default_first(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    listed = [device(0, "Speaker", 0), device(1, "Line\n in\x1b", 2), device(2, "Headset", 1, hostapi=1)]
    monkeypatch.setitem(sys.modules, "sounddevice", Sounddevice(listed, default=2))
    report = input_devices()
    assert report.devices == (
        InputDevice("Headset", 1, 44_100.0, "JACK", True),
        InputDevice("Line in", 2, 44_100.0, "ALSA", False),
    )
    assert report.advice is None
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


@pytest.mark.parametrize(
    ("platform", "word"), [("linux", "libportaudio2"), ("darwin", "pip install"), ("win32", "https")]
)
@pytest.mark.usefixtures("broken_import")
def test_without_the_library(platform: str, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    report = input_devices()
    assert report.devices == ()
    assert "PortAudio library not found" in str(report.advice)
    assert word in str(report.advice)
    assert "\n" not in str(report.advice)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    report = input_devices()
    assert "sounddevice" in str(report.advice)
    assert report.advice and report.advice.todo == "pip install sounddevice"


@pytest.mark.parametrize(("platform", "word"), [("linux", "arecord"), ("darwin", "Sound > Input"), ("win32", "https")])
def test_without_a_microphone(platform: str, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Sounddevice([device(0, "Speaker", 0)]))
    monkeypatch.setattr(sys, "platform", platform)
    report = input_devices()
    assert "no microphone" in str(report.advice)
    assert word in str(report.advice)


def test_portaudio_that_fails(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Sounddevice([], error=PortAudioError("Host error")))
    assert "Host error" in str(input_devices().advice)
    os.write(2, b"back\n")
    assert capfd.readouterr().err == "back\n"


def test_stderr_comes_back_after_a_bug(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Sounddevice([], error=RuntimeError("a bug")))
    with pytest.raises(RuntimeError):
        input_devices()
    os.write(2, b"back\n")
    assert capfd.readouterr().err == "back\n"
