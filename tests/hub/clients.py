"""The real huggingface_hub in a process of its own, as its settings are read when it is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PROLOGUE = """
import json
from huggingface_hub import HfApi, hf_hub_download, snapshot_download, try_to_load_from_cache, get_token
from huggingface_hub.utils import disable_progress_bars
disable_progress_bars()
def answer(value):
    print("answer:" + json.dumps(value, default=str))
"""


@dataclass(frozen=True)
class Outcome:
    """What a client said: the value that it passed to `answer`, or the name of the error that ended it."""

    value: Any
    error: str
    output: str


def start(environment: Mapping[str, str], code: str) -> subprocess.Popen[str]:
    """A process that runs `code` with huggingface_hub's functions at hand; `answer(value)` hands back a result."""
    return subprocess.Popen(
        [sys.executable, "-c", PROLOGUE + code],
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(environment: Mapping[str, str], code: str) -> Outcome:
    """Run it to its end."""
    process = start(environment, code)
    output, errors = process.communicate(timeout=50)
    answers = [line.removeprefix("answer:") for line in output.splitlines() if line.startswith("answer:")]
    if process.returncode == 0:
        return Outcome(json.loads(answers[-1]) if answers else None, "", output + errors)
    # The last line that begins a traceback's end: "huggingface_hub.errors.GatedRepoError: 401 Client Error."
    named = [line.split(":")[0] for line in errors.splitlines() if line and line[0].isalpha() and "Error" in line]
    ended = [name.rsplit(".", 1)[-1] for name in named if " " not in name]
    return Outcome(None, ended[-1] if ended else "unknown", output + errors)
