"""The tiny NeMo checkpoints of `fixtures/`, and archives that are damaged in one way each.

They were made with NeMo by tools/nemo/make_fixtures.py; NAME.npz holds what NeMo itself computes from NAME.nemo.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from speedtest_tui.core.convert.convert import Converted

Convert = Callable[[str], Converted]
"""Converts a fixture, see conftest.py."""

FIXTURES = Path(__file__).parent / "fixtures"
PARAKEETS = ("ctc", "rnnt", "tdt", "hybrid")
CANARIES = ("canary1", "flash", "canary2")
FAMILIES = (*PARAKEETS, *CANARIES)

YAML, WEIGHTS = "./model_config.yaml", "./model_weights.ckpt"


def checkpoint(name: str) -> Path:
    return FIXTURES / f"{name}.nemo"


def reference(name: str) -> Mapping[str, Any]:
    with np.load(FIXTURES / f"{name}.npz") as stored:
        return dict(stored)


def samples(name: str) -> np.ndarray:
    """The clip that NeMo heard, float32."""
    heard: np.ndarray = reference(name)["audio"].astype(np.float32) / 32768
    return heard


def members(name: str) -> dict[str, bytes]:
    """All files of a fixture by their names in the archive."""
    with tarfile.open(checkpoint(name)) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar if info.isfile()}  # type: ignore[union-attr]


def pack(target: Path, files: Mapping[str, bytes], *special: tarfile.TarInfo, compressed: bool = False) -> Path:
    """Write an archive with `files` and members that are no files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for info in special:
            tar.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    target.write_bytes(gzip.compress(out.getvalue(), 1) if compressed else out.getvalue())
    return target


def changed_weights(name: str, change: Callable[[dict[str, Any]], object]) -> bytes:
    """A fixture's weights after `change`, as torch saves them."""
    import torch

    weights = torch.load(io.BytesIO(members(name)[WEIGHTS]), weights_only=True)
    change(weights)
    out = io.BytesIO()
    torch.save(weights, out)
    return out.getvalue()
