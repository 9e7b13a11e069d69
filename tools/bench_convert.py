"""How good and how fast the conversion is: parity on every tiny checkpoint, one of 618 M parameters, the mel front end,
the cost of Canary's tokens.

The large checkpoint (random weights, sizes of parakeet-tdt-0.6b-v2) takes a minute to make; `--large`
keeps it. Its conversion, proof included, is compared with reading and writing the same bytes (copied to disk with fsync
before and after; the mean counts), and the largest memory of any of its processes with the size of the file.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bench import report
from bench.report import Line, milliseconds

from backends.nemo_mel import MelSettings, nemo_mel
from speedtest_tui.core.convert.convert import convert

sys.path[:0] = [str(Path(__file__).parents[1] / "tests")]
import canary_toy  # noqa: E402

FIXTURES = Path(__file__).parents[1] / "tests" / "nemo" / "fixtures"
MAKER = Path(__file__).parent / "bench" / "big_checkpoint.py"
COPY_BLOCK = 4 * 2**20

MAKING_S, CONVERTING_S = 1200.0, 600.0
CLIP_SECONDS, MEL_RUNS = 30, 15
CANARY_WIDTH, CANARY_LAYERS = 1024, 8  # as wide as that of canary-1b
TOKENS, SPREAD, DECODING_RUNS = 200, 5, 4

# Runs a conversion in a process of its own, so that its memory can be told from ours.
PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from speedtest_tui.core.convert.convert import convert
began = time.monotonic()
report = convert(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])).report
own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
worst = max(stage.max_difference for stage in report.stages)
print(json.dumps({"seconds": time.monotonic() - began, "peak": max(own, children), "worst": worst}))
"""


def parity(folder: Path, checkpoints: Sequence[Path]) -> list[Line]:
    """The largest difference of each tiny checkpoint between PyTorch and MLX in float32, encoder and heads apart."""
    lines = []
    for path in checkpoints:
        encoder, *heads = convert(path, folder / path.stem, "float32").report.stages
        for name, worst in (("encoder", encoder.max_difference), ("heads", max(head.max_difference for head in heads))):
            lines.append(Line(f"parity of {path.stem}, {name}", f"{worst:.1e}", "", worst, 1e-5, form="{:.1e}"))
    return lines


def copy_seconds(source: Path, target: Path) -> float:
    """Seconds to read a file and write it to disk."""
    began = time.monotonic()
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(COPY_BLOCK):
            writing.write(block)
        writing.flush()
        os.fsync(writing.fileno())
    elapsed = time.monotonic() - began
    target.unlink()
    return elapsed


def large(source: Path, folder: Path, dtype: str, bits: int) -> list[Line]:
    """Time and memory of one conversion of the large checkpoint."""
    before = copy_seconds(source, folder / "copy")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(source), str(folder / "out"), dtype, str(bits)],
        check=True,
        capture_output=True,
        text=True,
        timeout=CONVERTING_S,
    )
    found = json.loads(done.stdout)
    shutil.rmtree(folder / "out")
    floor = (before + copy_seconds(source, folder / "copy")) / 2
    size = source.stat().st_size
    peak = found["peak"] * (1 if sys.platform == "darwin" else 1024)
    name = f"618 M parameters to {f'{bits}-bit' if bits else dtype}"
    return [
        Line(f"{name}, time / copying", f"{found['seconds']:.1f} s", f"{floor:.1f} s", found["seconds"] / floor, 2.0),
        Line(f"{name}, peak memory / file", f"{peak / 1e6:.0f} MB", f"{size / 1e6:.0f} MB", peak / size, 1.5),
    ]


def mel(runs: int) -> list[Line]:
    """Milliseconds of processor time, all threads together, for each second of sound: the best of some runs."""
    clip = np.random.default_rng(0).standard_normal(16_000 * CLIP_SECONDS, np.float32) / np.float32(10)
    lines = []
    for bins in (80, 128):
        settings = MelSettings(bins=bins)
        taken = []
        for _ in range(runs):
            began = time.process_time()
            nemo_mel(clip, settings)
            taken.append(time.process_time() - began)
        best = min(taken)
        measured = milliseconds(best)
        lines.append(
            Line(f"mel, {bins} bins, ms for a second", measured, f"{CLIP_SECONDS} s", 1000 * best / CLIP_SECONDS, 1.0)
        )
    return lines


def decoding(runs: int, width: int, layers: int) -> list[Line]:
    """What a token costs behind 200 others, in processor time, against one behind 10: medians of the best of some runs.

    A Canary decoder of random weights, on 8 s of silence.
    """
    import mlx.core as mx

    from backends.canary.load import open_folder

    best = np.full(TOKENS + SPREAD, np.inf)
    with tempfile.TemporaryDirectory() as name:
        folder = canary_toy.write(Path(name) / "toy", width=64, decoder_width=width, layers=layers)
        model = open_folder(folder).model
    mx.eval(model.parameters())
    encoded = model.encode(mx.zeros((800, 80)))
    for _ in range(runs):
        caches = model.caches()
        mx.eval(model.step(mx.array([[1] * 9]), encoded, caches))
        for at in range(len(best)):
            began = time.process_time()
            mx.eval(model.step(mx.array([[at % 30]]), encoded, caches))
            best[at] = min(best[at], time.process_time() - began)
    early, late = (float(np.median(best[at - SPREAD : at + SPREAD])) for at in (10, TOKENS))
    return [Line("Canary: token 200 / token 10", milliseconds(late), milliseconds(early), late / early, 1.2)]


def measure(options: argparse.Namespace) -> list[Line]:
    runs = 1 if options.short else MEL_RUNS
    lines = mel(runs) + (decoding(1, 64, 1) if options.short else decoding(DECODING_RUNS, CANARY_WIDTH, CANARY_LAYERS))
    with tempfile.TemporaryDirectory(dir=options.large and options.large.absolute().parent) as name:
        folder = Path(name)
        lines += parity(folder, sorted(FIXTURES.glob("*.nemo"))[: 1 if options.short else None])
        if options.short:
            return lines
        source = options.large or folder / "large.nemo"
        if not source.exists():
            subprocess.run([sys.executable, str(MAKER), str(source)], check=True, timeout=MAKING_S)
        for dtype in options.dtype or ("float32", "bfloat16"):
            lines += large(source, folder, dtype, 0)
        for bits in options.bits:
            lines += large(source, folder, "bfloat16", bits)
    return lines


def main() -> int:
    parser = report.options(__doc__)
    parser.add_argument("--large", type=Path, metavar="FILE", help="where the large checkpoint is, or is kept")
    parser.add_argument("--dtype", action="append", choices=("float32", "float16", "bfloat16"), help="of the large one")
    parser.add_argument("--bits", action="append", type=int, choices=(8, 4), default=[], help="of the large one")
    return report.run("converting NeMo checkpoints", parser, measure)


if __name__ == "__main__":
    sys.exit(main())
