"""Weights that are there under another name than the backend reads: whether a link by that name is all that is missing.

Their header says, without loading them. A check and a repair ask here, so that they cannot contradict each other.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from backends.base import Advice, ModelSpec
from speedtest_tui.core.models.status import CacheState
from speedtest_tui.core.models.structure import SAFETENSORS_HEADER_MAX

MLX_WEIGHTS = "weights.safetensors"
MLX_NAMES = ("encoder.conv1.weight", "decoder.token_embedding.weight", "encoder.blocks.0.mlp1.weight")
"""Tensors of every Whisper that mlx-whisper 0.4 reads; OpenAI's own file has `mlp.0`, transformers has `layers`."""
CONVOLUTION_WIDTH = 3
"""Of Whisper's first layer: MLX stores it in the middle, PyTorch at the end."""


@dataclass(frozen=True)
class OtherLayout:
    """The weights that are there, or None; and why the backend cannot read them: the end of a sentence, or ""."""

    present: Path | None = None
    unfit: str = ""

    def advice(self, spec: ModelSpec, state: CacheState, download: str, *, fallback_ready: bool) -> Advice | None:
        """What a person can do where a link does not help; None where a repair makes that link.

        download: the command that downloads the model, or its fallback
        """
        name = spec.source
        if self.present is None:
            return Advice(f"{name}: {state.detail}", f"run {download}")
        if not self.unfit:
            return None
        what = f"mlx-whisper cannot read {self.present.name} of {name}: it {self.unfit}"
        if spec.fallback is None:
            return Advice(what, "choose another size for mlx-whisper")
        if fallback_ready:
            return Advice(what, f"nothing to do: {spec.fallback.source} is used instead")
        return Advice(what, f"download {spec.fallback.source} instead: {download}")


def find_other_layout(spec: ModelSpec, state: CacheState) -> OtherLayout:
    """Look for weights that mlx-whisper may read, in the folder of a model whose status is "wrong-layout"."""
    wanted = next((file.names for file in spec.files if MLX_WEIGHTS in file.names), ())
    if state.path is None or not wanted:
        return OtherLayout()
    faulty = [file.fault.path for file in state.files if file.fault and file.fault.kind == "wrong-layout"]
    for path in (*faulty, state.path / "model.safetensors", *sorted(state.path.glob("*.safetensors"))):
        if path.suffix == ".safetensors" and path.name not in wanted and path.is_file():
            return OtherLayout(path, _unfit(path))
    return OtherLayout()


def _unfit(weights: Path) -> str:
    """Why mlx-whisper could not read these weights; "" where it can."""
    try:
        with weights.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length)) if length <= SAFETENSORS_HEADER_MAX else None
    except (OSError, ValueError, struct.error):
        header = None
    if not isinstance(header, dict):
        return "cannot be read as safetensors"
    tensors = {name: entry for name, entry in header.items() if isinstance(entry, dict)}
    if any(name.startswith("model.encoder.layers.") for name in tensors):
        return "has its weights under transformers' names"
    if missing := [name for name in MLX_NAMES if name not in tensors]:
        return f"has no {missing[0]}: it is not Whisper as MLX keeps it"
    shape = tensors[MLX_NAMES[0]].get("shape", [])
    if not isinstance(shape, list) or len(shape) != 3 or shape[1] != CONVOLUTION_WIDTH:
        return "has its weights in PyTorch's order"
    return ""
