"""What tests of repairs share: the look at the caches that a plan is made of, and an application to its end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from backends.base import BackendEntry, ModelSpec
from speedtest_tui.core.models.inspect import inspect_model
from speedtest_tui.core.models.scan import scan
from speedtest_tui.core.models.status import ModelReport
from speedtest_tui.core.repair.apply import Application, Progress
from speedtest_tui.core.repair.plan import plan
from speedtest_tui.core.repair.step import Plan, Step
from speedtest_tui.core.repair.trash import FALLBACK

ENTRY = BackendEntry("mlx-whisper", "backends.whisper.mlx:MlxWhisper", "this program")


def reports(*specs: ModelSpec) -> list[ModelReport]:
    """How some models stand."""
    return [inspect_model(ENTRY, spec, ("tiny",)) for spec in specs]


def planned(*specs: ModelSpec) -> Plan:
    """The plan for some models and for everything in the caches."""
    return plan(reports(*specs), list(scan()))


def apply(steps: Sequence[Step], *specs: ModelSpec, tidy: bool = False) -> Progress:
    """Take steps, as the command does: with a second plan for what they leave; tidy: with what is only offered."""
    return Application(steps, replan=lambda: planned(*specs).steps if tidy else planned(*specs).chosen).run()


def picture(*roots: Path) -> dict[str, str]:
    """All that lies in some folders but the trash: files by their content, links by their text."""
    found = {}
    for root in roots:
        for folder, folders, files in os.walk(root):
            if FALLBACK in folders:
                folders.remove(FALLBACK)
            for name in (*folders, *files):
                path = Path(folder, name)
                if path.is_symlink():
                    found[str(path)] = f"-> {path.readlink()}"
                elif path.is_file() and path.suffix != ".lock":
                    found[str(path)] = path.read_bytes().hex()[:400]
    return found
