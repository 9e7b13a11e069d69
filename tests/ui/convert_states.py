"""A checkpoint that was looked into and conversions of it, said by hand, for the screen that shows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from speedtest_tui.core.convert.convert import Converted, Target
from speedtest_tui.core.convert.preview import Form, Preview
from speedtest_tui.core.convert.report import Parity, Report, StageFigure
from speedtest_tui.core.jobs.job import JobRow, JobView
from speedtest_tui.ui.workers.messages import CheckpointRead, TargetRead

SOURCE = Path("/downloads/parakeet-tdt-0.6b-v2.nemo")
FOLDER = Path("/caches/converted/parakeet-tdt-0.6b-v2")

PREVIEW = Preview(
    path=SOURCE,
    bytes=2_472_000_000,
    family="Parakeet TDT",
    target="EncDecRNNTBPEModel",
    reader="parakeet-mlx",
    encoder="128 mel bins, FastConformer of 24 layers × 1024, 8× subsampling",
    decoders=("LSTM of 2 layers × 640, joint 640, 1,024 tokens, 5 durations",),
    tokenizers=("4b0a3dcbc5f64b1fa2c7a8be2d0a9d0c_tokenizer.model",),
    languages=(),
    parameters=617_800_000,
    forms=(
        Form("bfloat16", 0, 1_236_000_000),
        Form("float16", 0, 1_236_000_000, note="parakeet-mlx runs it as bfloat16"),
        Form("float32", 0, 2_471_000_000, note="parakeet-mlx runs it as bfloat16"),
        Form("bfloat16", 8, 690_000_000),
        Form("bfloat16", 4, 390_000_000, "no layer is wide enough for 4 bits"),
    ),
    memory_bytes=820_000_000,
    memory_total=24 * 2**30,
)

SEEN = CheckpointRead(SOURCE, PREVIEW)
ROOMY = TargetRead(Target(FOLDER, free=212_000_000_000))

CONVERTING = JobView(
    "convert",
    "Convert",
    (
        JobRow("starting", "open the checkpoint", "done"),
        JobRow("converting", "convert the weights", "running", bytes=457_000_000, total=1_240_000_000, seconds=3.1),
        JobRow("proving", "compare with PyTorch"),
        JobRow("saving", "save the model"),
    ),
    subject=SOURCE.name,
)


def stage(name: str, largest: float, share: float | None) -> StageFigure:
    return StageFigure(name, largest, largest / 12, share, 0.15, "relative", ok=True)


PROOF = (
    stage("encoder", 0.0321, None),
    stage("predictor and joint network", 0.18, 0.978),
    stage("durations", 0.0972, 1.0),
)
REPORT = Report("Parakeet TDT", "bfloat16", 617_800_000, parity=Parity(160, 240, PROOF))

CONVERTED = replace(
    CONVERTING,
    rows=tuple(JobRow(row.key, row.title, "done") for row in CONVERTING.rows),
    state="done",
    summary="Parakeet TDT, 618 M parameters as bfloat16, 1.24 GB: every stage is within its bound.",
    result=Converted(FOLDER, REPORT),
)
CANCELLED = replace(CONVERTING, state="cancelled", summary="cancelled; nothing was left behind")
