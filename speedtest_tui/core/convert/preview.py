"""What a .nemo file is and what each number format would make of it, before it is converted. The parent's side."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui.core import darwin
from speedtest_tui.core.convert.numbers import DType
from speedtest_tui.core.convert.report import form_name
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.process.lines import Message
from speedtest_tui.core.process.parent import ask

CHILD_MODULE = "speedtest_tui.core.convert.preview_child"


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
class Preview(Message):
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
    darwin.check_here(path)
    if not path.is_file():
        raise UserError(f"{path} is no file", "choose a .nemo file")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        order = {"source": str(path), "scratch": scratch}
        return ask(CHILD_MODULE, order, Preview, "looking into it", cancelled)
