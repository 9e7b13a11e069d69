"""Compares what this program reads of audio files with FFmpeg's own decode: `python tools/sweep_audio.py [--short]`.

Writes one spoken sentence in every container, codec, channel layout and rate that the installed ffmpeg program can
write, and prints those that disagree in length, level or waveform, are refused although ffmpeg reads them, or crash.
Ends with a count; exit code 1 where anything crashed or differs.
"""

from __future__ import annotations

import argparse
import collections
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import soxr

from speedtest_tui.core.audio.decode import load_clip
from speedtest_tui.core.errors import UserError

CONTAINERS = """
3g2 3gp ac3 adts adx aiff amr aptx asf ast au avi caf codec2 dfpwm dts eac3 f4v flac flv g722 g726 gsm gxf ipod ircam
ismv latm matroska mlp mmf mov mp2 mp3 mp4 mpeg mpegts mxf nut oga ogg oma opus psp rm rso sbc sox spx swf truehd tta
voc vob w64 wav webm wtv wv
"""
LAYOUTS = """
mono stereo 2.1 3.0 3.0(back) 4.0 quad quad(side) 3.1 5.0 5.0(side) 4.1 5.1 5.1(side) 6.0 6.1 7.0 7.1 7.1(wide)
octagonal hexadecagonal 22.2
"""
RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000)

LAYOUT_TARGETS = """
wav/pcm_s16le flac/flac ogg/libopus mp4/aac matroska/vorbis mov/pcm_s16le caf/pcm_s24le w64/pcm_f32le aiff/pcm_s16be
wv/wavpack
"""
RATE_TARGETS = """
wav/pcm_s16le wav/pcm_f32le flac/flac mp3/libmp3lame mp4/aac ogg/libvorbis opus/libopus aiff/pcm_s16be au/pcm_s16be
mov/alac
"""
RAW = {
    "g722": "g722", "g726": "g726", "gsm": "libgsm", "dfpwm": "dfpwm", "aptx": "aptx", "sbc": "sbc",
    "codec2": "libcodec2",
}  # fmt: skip
"""Containers without a header take any codec and can be read as one only."""

SHORT = "wav/pcm_s16le flac/flac mp4/aac opus/libopus mp3/libmp3lame"
"""Targets are container/codec."""

LIMIT_S = 60
SAME_SECONDS = 0.05
"""Lengths may differ by encoder delay that one reader trims and the other does not."""
SAME_DB, LIKENESS = 1.0, 0.95


@dataclass(frozen=True)
class Case:
    """One file to be: how it is written."""

    container: str
    codec: str
    layout: str = ""
    rate: int = 0

    def __str__(self) -> str:
        return " ".join(filter(None, (self.container, self.codec, self.layout, f"{self.rate} Hz" if self.rate else "")))


def _case(target: str, layout: str = "", rate: int = 0) -> Case:
    container, codec = target.split("/")
    return Case(container, codec, layout, rate)


def cases(short: bool) -> Iterator[Case]:
    """All of them; what ffmpeg cannot write is left out later."""
    if short:
        yield from (_case(target) for target in SHORT.split())
        return
    listed = subprocess.run(["ffmpeg", "-hide_banner", "-encoders"], capture_output=True, text=True, check=True).stdout
    codecs = [line.split()[1] for line in listed.splitlines() if line.startswith(" A") and line.split()[1] != "="]
    for codec in codecs:
        yield from (Case(name, codec) for name in CONTAINERS.split() if RAW.get(name, codec) == codec)
    for layout in [
        x for x in LAYOUTS.split() if x not in ("7.0", "7.1", "7.1(wide)", "octagonal", "hexadecagonal", "22.2")
    ]:
        yield from (_case(target, layout) for target in LAYOUT_TARGETS.split())
    for rate in RATES:
        yield from (_case(target, "", rate) for target in RATE_TARGETS.split())


def write(case: Case, speech: Path, folder: Path) -> Path | None:
    """The file, or None where ffmpeg cannot write it."""
    target = folder / f"{abs(hash(case)):x}.{ {'matroska': 'mka', 'ipod': 'm4a'}.get(case.container, case.container) }"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(speech), "-strict", "-2", "-c:a", case.codec]
    command += ["-ar", str(case.rate)] if case.rate else []
    command += ["-af", f"aformat=channel_layouts={case.layout}"] if case.layout else []
    done = _run([*command, "-f", case.container, str(target)])
    if (done is None or done.returncode) and not case.rate and not case.layout:
        for more in (["-ar", "8000", "-ac", "1"], ["-ar", "16000", "-ac", "1"], ["-ar", "48000", "-ac", "2"],
                     ["-ar", "44100", "-ac", "2"]):  # fmt: skip
            done = _run([*command, *more, "-f", case.container, str(target)])
            if done is not None and not done.returncode:
                break
    return target if done is not None and not done.returncode and target.exists() and target.stat().st_size else None


def _run(command: list[str]) -> subprocess.CompletedProcess[bytes] | None:
    try:
        return subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return None


def reference(path: Path) -> np.ndarray | None:
    """What ffmpeg decodes of the first track: the mean of its channels at 16 kHz; None where it reads nothing."""
    probe = _run(["ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries", "stream=channels,sample_rate",
                  "-of", "csv=p=0", str(path)])  # fmt: skip
    parts = probe.stdout.decode().strip().splitlines()[:1] if probe else []
    if not parts or parts[0].count(",") < 1:
        return None
    rate, channels = (int(part) for part in parts[0].split(",")[:2])
    done = _run(["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a:0", "-f", "f32le", "-c:a", "pcm_f32le", "-"])
    if done is None or not done.stdout or not rate or not channels:
        return None
    frames = np.frombuffer(done.stdout[: len(done.stdout) // (4 * channels) * 4 * channels], "<f4")
    mono = frames.reshape(-1, channels).mean(1)
    return np.asarray(soxr.resample(mono, rate, 16_000, "HQ") if rate != 16_000 else mono)


def compare(case: Case, path: Path) -> str:
    """ "same", "unreadable" (by ffmpeg too), or what is wrong."""
    expected = reference(path)
    try:
        samples = load_clip(path).samples
    except UserError as error:
        return "unreadable" if expected is None or len(expected) < 1600 else f"refused: {error}"
    except Exception as error:
        return f"crashed: {type(error).__name__}: {error}"
    if expected is None:
        return "same"
    if abs(len(samples) - len(expected)) > SAME_SECONDS * 16_000:
        return f"differs: {len(samples) / 16_000:.2f} s, ffmpeg {len(expected) / 16_000:.2f} s"
    levels = [10 * np.log10(float(np.mean(np.square(part))) + 1e-12) for part in (samples, expected)]
    if abs(levels[0] - levels[1]) > SAME_DB:
        return f"differs: {levels[0]:.1f} dB, ffmpeg {levels[1]:.1f} dB"
    likeness = _likeness(samples, expected)
    return "same" if likeness > LIKENESS else f"differs: waveform {likeness:.2f} alike"


def _likeness(one: np.ndarray, other: np.ndarray) -> float:
    """The largest correlation over shifts, 1 for the same waveform."""
    size = 1 << (len(one) + len(other)).bit_length()
    product = np.fft.irfft(np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size)), size)
    return float(product.max() / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-12))


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare what is read of audio files with FFmpeg's own decode.")
    parser.add_argument("--short", action="store_true", help="five files only")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name holds TEXT")
    options = parser.parse_args()
    if not shutil.which("ffmpeg"):
        print("sweep_audio: ffmpeg is not installed: apt install ffmpeg, or brew install ffmpeg", file=sys.stderr)
        return 2
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        speech = folder / "speech.wav"
        demo = str(files("backends") / "embedded" / "demo.flac")
        subprocess.run(["ffmpeg", "-v", "error", "-i", demo, "-ar", "48000", str(speech)], check=True)

        def judge(case: Case) -> tuple[Case, str]:
            path = write(case, speech, folder)
            if path is None:
                return case, ""
            try:
                return case, compare(case, path)
            finally:
                path.unlink(missing_ok=True)

        with ThreadPoolExecutor(2) as pool:
            chosen = (case for case in cases(options.short) if options.only in str(case))
            for case, verdict in pool.map(judge, chosen):
                if verdict:
                    counts[verdict.partition(":")[0]] += 1
                if verdict not in ("", "same", "unreadable"):
                    print(f"{case}: {verdict}", flush=True)
    print(", ".join(f"{count} {name}" for name, count in counts.most_common()) or "nothing could be written")
    return 1 if counts["crashed"] or counts["differs"] else 0


if __name__ == "__main__":
    sys.exit(main())
