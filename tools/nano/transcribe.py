"""Transcribe clips with the nano models, through the real backends, and print their word error rates.

    python transcribe.py unseen                      # a folder of make_clips.py
    python transcribe.py unseen --backends canary-mlx --show

Each backend loads its nano model in a process of its own, as in a race. Words are compared as they are spoken:
Whisper's normaliser, which races use, would join digits.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from backends.base import LoadOptions, Location, TranscribeOptions
from backends.registry import create, entries
from speedtest_tui.core.audio.decode import load_clip
from speedtest_tui.core.models.builtin import materialise

BACKENDS = ("mlx-whisper", "parakeet-mlx", "canary-mlx", "whisper-mps", "transformers")
PUNCTUATION = str.maketrans("", "", ".,;:!?")


def transcribe(name: str, clips: list[Path]) -> list[dict[str, str]]:
    """What a backend makes of clips with its nano model, in this process: {"text": ..., "invalid": ...} for each."""
    backend = create(next(entry.reference for entry in entries() if entry.name == name))
    backend.import_library()
    spec = backend.model("nano")
    if spec is None:
        raise SystemExit(f"transcribe: {name} has no nano model")
    with tempfile.TemporaryDirectory() as cache:
        backend.load(spec, Location(materialise(spec.source, Path(cache))), LoadOptions())
        found = [backend.transcribe(load_clip(clip).samples, TranscribeOptions("en")) for clip in clips]
        backend.close()
    return [{"text": one.text, "invalid": one.invalid} for one in found]


def words(text: str) -> str:
    return " ".join(text.lower().translate(PUNCTUATION).split())


def said(clip: Path) -> str:
    return words(clip.with_suffix(".txt").read_text(encoding="utf-8"))


def compare(name: str, clips: list[Path], *, show: bool) -> float:
    """Print one backend's line and return its word error rate. Raises CalledProcessError."""
    import jiwer

    command = [sys.executable, str(Path(__file__)), "--child", name, *map(str, clips)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    results = json.loads(done.stdout.splitlines()[-1])
    found = [words(result["text"]) for result in results]
    expected = [said(clip) for clip in clips]
    rate = float(jiwer.wer(expected, found))
    perfect = sum(a == b for a, b in zip(expected, found, strict=True))
    invalid = sum(bool(result["invalid"]) for result in results)
    print(f"{name:14} {rate:.3f}   {perfect} of {len(clips)} word for word, {invalid} invalid")
    if show:
        for clip, text, other in zip(clips, expected, found, strict=True):
            if text != other:
                print(f"  {clip.stem}: {text}\n      {other}")
    return rate


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        print("\n" + json.dumps(transcribe(sys.argv[2], [Path(path) for path in sys.argv[3:]])))
        return 0
    parser = argparse.ArgumentParser(description="Print the word error rates of the nano models.")
    parser.add_argument("folder", type=Path, help="clips, each with its words in a .txt beside it")
    parser.add_argument("--backends", default=",".join(BACKENDS), help="default: %(default)s")
    parser.add_argument("--show", action="store_true", help="print what was wrong")
    chosen = parser.parse_args()
    clips = sorted(text.with_suffix(sound.suffix) for text in chosen.folder.glob("*.txt") for sound in _sounds(text))
    if not clips:
        print(f"transcribe: {chosen.folder} has no clips: make some with make_clips.py", file=sys.stderr)
        return 1
    try:
        for name in chosen.backends.split(","):
            compare(name, clips, show=chosen.show)
    except subprocess.CalledProcessError:
        return 1  # the child has said why
    return 0


def _sounds(text: Path) -> list[Path]:
    return [path for path in text.parent.glob(f"{text.stem}.*") if path.suffix != ".txt"]


if __name__ == "__main__":
    sys.exit(main())
