"""What a conversion says of itself, its proof included: `conversion.json` in the folder that it made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from speedtest_tui.core import darwin
from speedtest_tui.core.codec import Damaged, decode, encode

NAME = "conversion.json"
SCHEMA = 1


@dataclass(frozen=True)
class Source:
    """The checkpoint; `sha256` in lower-case hex."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Keys:
    """How many tensors were read from the checkpoint and written, and the names of those that nothing needs."""

    read: int
    written: int
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class StageFigure:
    """How far one stage is from PyTorch's.

    relative: root mean square of the difference, relative to the spread of the source's own values
    share: of positions at which both choose the same; None for the encoder, which chooses nothing
    kind: what `bound` limits
    """

    stage: str
    max_difference: float
    relative: float
    share: float | None
    bound: float
    kind: Literal["max_difference", "relative"]
    ok: bool


@dataclass(frozen=True)
class Parity:
    """The proof: the seed and frames of the random input, and each stage's figures."""

    seed: int
    frames: int
    stages: tuple[StageFigure, ...]


@dataclass(frozen=True)
class Report:
    """A conversion. `bits` and `group_size` are None for plain numbers; `created` is UTC, ISO 8601, or unknown.

    plain_layers: layers too narrow to be packed; made_explicit: settings that the checkpoint left to a default
    tools: versions of what took part
    """

    family: str
    dtype: str
    parameters: int
    bits: int | None = None
    group_size: int | None = None
    target: str = ""
    created: str = ""
    source: Source | None = None
    keys: Keys | None = None
    plain_layers: tuple[str, ...] = ()
    made_explicit: tuple[str, ...] = ()
    members_left_out: tuple[str, ...] = ()
    tokenizer_files: tuple[str, ...] = ()
    tools: Mapping[str, str] | None = None
    parity: Parity | None = None
    schema: int = SCHEMA

    @property
    def form(self) -> str:
        """The number format in a word: "8-bit", "bfloat16"."""
        return form_name(self.dtype, self.bits)

    @property
    def reader(self) -> str:
        """The backend that runs it."""
        return reader_of(self.family)

    @property
    def stages(self) -> tuple[StageFigure, ...]:
        return self.parity.stages if self.parity else ()


def reader_of(family: str) -> str:
    """The backend that runs a family, as `recipe.Recipe.name` calls it: "Canary", "Parakeet TDT"."""
    return "canary-mlx" if family == "Canary" else "parakeet-mlx"


def form_name(dtype: str, bits: int | None) -> str:
    """A number format in a word: "8-bit" where layers are packed, else the type of the numbers."""
    return f"{bits}-bit" if bits else dtype


def read(folder: Path) -> Report | None:
    """The report in a converted folder; None where there is none that can be read."""
    try:
        return decode(Report, darwin.content(folder / NAME))
    except (OSError, Damaged):
        return None


def write(folder: Path, report: Report) -> None:
    """Write it into a folder. Raises OSError."""
    (folder / NAME).write_bytes(encode(report, indent=2) + b"\n")
