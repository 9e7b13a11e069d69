"""What a .nemo file is and what each number format would make of it, before it is converted. The parent's side."""

from __future__ import annotations

import queue
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speedtest_tui.core.codec import typed
from speedtest_tui.core.convert.numbers import DType
from speedtest_tui.core.convert.report import form_name
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.process.sound_link import ChildLink

CHILD_MODULE = "speedtest_tui.core.convert.preview_child"
LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Form:
    """One number format. `bits` is 8, 4 or 0 for plain numbers; output_bytes: of the weights.

    problem: why the model cannot be stored so, or empty; note: what should be known before it is
    """

    dtype: DType
    bits: int
    output_bytes: int
    problem: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        return form_name(self.dtype, self.bits)


@dataclass(frozen=True)
class Preview:
    """A checkpoint. bytes: size of the file; target: NeMo's class; reader: the backend that runs the result.

    encoder, decoders: their sizes in words; tokenizers: file names; languages: of aggregate tokenizers
    memory_bytes: about what a conversion takes at its peak; memory_total: of this machine
    """

    path: Path
    bytes: int
    family: str
    target: str
    reader: str
    encoder: str
    decoders: tuple[str, ...]
    tokenizers: tuple[str, ...]
    languages: tuple[str, ...]
    parameters: int
    forms: tuple[Form, ...]
    memory_bytes: int
    memory_total: int


def look(path: Path, cancelled: threading.Event) -> Preview | None:
    """Look into a checkpoint in a child process. Blocks; None where it was cancelled.

    Raises UserError that says why the file cannot be converted.
    """
    path = path.expanduser().absolute()
    if not path.is_file():
        raise UserError(f"{path} is no file", "choose a .nemo file")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        facts = _facts({"source": str(path), "scratch": scratch}, cancelled)
    return None if facts is None else typed(Preview, {**facts, "path": str(path)})


def _facts(order: dict[str, Any], cancelled: threading.Event) -> dict[str, Any] | None:
    events: queue.SimpleQueue[dict[str, Any] | str] = queue.SimpleQueue()
    link = ChildLink(CHILD_MODULE, order, events.put, events.put)
    try:
        while not cancelled.is_set():
            try:
                event = events.get(timeout=LOOK_EVERY_S)
            except queue.Empty:
                continue
            if isinstance(event, str):
                raise UserError(f"looking into it ended early: {event or 'no result came'}", "try again")
            if event["event"] == "failed":
                raise UserError(event["message"], event["hint"])
            if event["event"] == "seen":
                found: dict[str, Any] = event["facts"]
                return found
    finally:
        link.close()
    return None
