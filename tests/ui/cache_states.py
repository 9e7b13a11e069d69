"""One look at damaged caches, said by hand, for the screen that shows it."""

from __future__ import annotations

import datetime
from pathlib import Path

from states import NANO, SMALL, model_report

from backends.base import Advice
from backends.catalogue import openai_checkpoint
from speedtest_tui.core.jobs.job import JobRow, JobView
from speedtest_tui.core.jobs.overview import CacheOverview
from speedtest_tui.core.jobs.repair import Repaired
from speedtest_tui.core.models.inventory import CacheUse, Stored
from speedtest_tui.core.models.status import CacheState, Fault
from speedtest_tui.core.repair.apply import Progress
from speedtest_tui.core.repair.step import Note, Plan, Step

HF = Path("/caches/hub")
LOCAL = Path("/caches/models")
WHISPER = Path("/caches/whisper")

RESUME = Step(
    "resume",
    LOCAL / "small.pt",
    LOCAL,
    "local",
    model=openai_checkpoint("small").source,
    part="the download",
    download_bytes=305_000_000,
)
AGAIN = Step(
    "download",
    HF / "models--openai--whisper-medium",
    HF,
    "hf",
    model="openai/whisper-medium",
    part="model.safetensors",
    manner="again",
    download_bytes=3_100_000_000,
)
ADOPT = Step(
    "adopt",
    HF / "models--mlx-community--whisper-base-mlx",
    HF,
    "hf",
    model="mlx-community/whisper-base-mlx",
    part="weights.safetensors",
    manner="to model.safetensors, which mlx-whisper can read",
)
MERGE = Step(
    "merge",
    WHISPER / "small.pt",
    WHISPER,
    "whisper",
    part=str(WHISPER / "small.pt"),
    manner=f"with {LOCAL / 'small.pt'} (the same file on disk; frees 483 MB once the trash is emptied)",
    free_bytes=483_000_000,
    optional=True,
)
STEPS = (ADOPT, RESUME, AGAIN, MERGE)
NOTE = Note("org/odd", "hf", Advice("org/odd has a folder that cannot be read", "make it readable"))

DAMAGED = (
    model_report("transformers", "medium", hf=CacheState("damaged", 1, detail="model.safetensors is cut short")),
    model_report("mlx-whisper", "base", hf=CacheState("wrong-layout", 1, detail="there is only model.safetensors")),
)
WHEN = datetime.datetime(2026, 11, 2, 12).timestamp()
STORED = (
    Stored("hf", HF, HF / "models--a--b", "openai/whisper-medium", "hub", "model", bytes=3_100_000_000, modified=WHEN),
    Stored("local", LOCAL, LOCAL / "small.pt", "small.pt", "checkpoint", bytes=178_000_000, modified=WHEN),
    Stored(
        "hf",
        HF,
        HF / "notes.txt",
        "notes.txt",
        "foreign",
        bytes=12,
        faults=(Fault("foreign", HF / "notes.txt", "notes.txt does not belong here"),),
    ),
)
USES = (
    CacheUse("hf", HF, True, 14_200_000_000, 212_000_000_000, 12),
    CacheUse("local", LOCAL, True, 3_100_000_000, 212_000_000_000, 4),
    CacheUse("whisper", WHISPER, False, 0, 212_000_000_000, 0),
)
OVERVIEW = CacheOverview(STORED, USES, (*SMALL, *NANO, *DAMAGED), Plan(STEPS, (NOTE,)), (), done=True)
CLEAN = CacheOverview(STORED[:2], USES, SMALL, Plan(), (), done=True)

LINKED = JobRow("adopt", "whisper-base-mlx: link weights.safetensors to model.safetensors", "done")
OFFLINE = Advice("no network", "go online, then repair again")
REPAIRING = JobView(
    "repair",
    "Repair",
    (
        LINKED,
        JobRow(
            "resume",
            "small.pt: resume the download (305 MB)",
            "running",
            bytes=186_000_000,
            total=305_000_000,
            speed=42e6,
            eta_s=3.0,
        ),
        JobRow("download", "whisper-medium: download model.safetensors again (3.1 GB)"),
    ),
)
DOWNLOADING = JobView(
    "download",
    "Download",
    (
        JobRow(
            "small.pt",
            "small.pt",
            "running",
            bytes=294_000_000,
            total=483_000_000,
            speed=42e6,
            eta_s=4.5,
            backends=("whisper-mps",),
        ),
    ),
)
REPAIRED = JobView(
    "repair",
    "Repair",
    (
        LINKED,
        JobRow("resume", "small.pt: resume the download (305 MB)", "failed", advice=OFFLINE),
        JobRow(
            "check mlx-whisper whisper-base-mlx",
            "check mlx-whisper whisper-base-mlx",
            "done",
            "complete, loads and transcribes, loaded in 0.42 s",
        ),
    ),
    state="failed",
    summary=f"1 done, 1 failed: {OFFLINE}",
    result=Repaired(Progress((), "failed", entry="20261102-120000")),
)
