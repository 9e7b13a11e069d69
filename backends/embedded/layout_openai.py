"""The layout of OpenAI's own checkpoints, which whisper-mps reads: one file made by torch.save."""

from __future__ import annotations

from pathlib import Path

from . import nano

FILES = ("nano.en.pt",)


def write(folder: Path) -> tuple[str, ...]:
    """Write `FILES` into `folder`: {"dims": ..., "model_state_dict": float16 tensors}.

    Imports torch, the only layout that does. Raises OSError, ImportError where torch is missing.
    """
    import io

    import torch

    state = {name: torch.from_numpy(value) for name, value in nano.expand().items()}
    checkpoint = io.BytesIO()  # on a full disk torch.save would raise its own RuntimeError, without the reason
    torch.save({"dims": nano.dims(), "model_state_dict": state}, checkpoint)
    (folder / FILES[0]).write_bytes(checkpoint.getvalue())
    return FILES
