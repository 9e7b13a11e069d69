"""Turn a checkpoint of train.py into the compact file that the package carries, and check that it expands again.

The inverse of `backends.embedded.nano.expand`. The same checkpoint gives the same bytes each time.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from backends.embedded import nano

NOTE = (
    f"row i of {nano.EMBEDDING} belongs to token_ids[i]; the last row belongs to every other token; "
    f"{nano.POSITIONS} is Whisper's sinusoid"
)


class ExportError(Exception):
    """The checkpoint is not one of train.py, or does not survive; the message is one line."""


def read(path: Path) -> tuple[nano.Weights, list[int], dict[str, int]]:
    """Return weights in float16, token ids of the embedding's rows and dimensions. Raises ExportError."""
    import torch

    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        weights = {name: value.to(torch.float16).numpy() for name, value in checkpoint["weights"].items()}
        used = [int(token) for token in checkpoint["used"]]
        dims = {name: int(checkpoint["dims"][name]) for name in nano.DIMENSIONS}
    except Exception as error:  # torch.load raises nearly anything on a file that is not its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ExportError(f"{path} is not a checkpoint of train.py: {type(error).__name__}: {reason}") from error
    rows = weights[nano.EMBEDDING].shape[0] if nano.EMBEDDING in weights else 0
    if rows != len(used) + 1:
        raise ExportError(f"{path}: {rows} embedding rows for {len(used)} tokens and one shared row")
    broken = sorted(name for name, value in weights.items() if not np.isfinite(value).all())
    if broken:
        raise ExportError(f"{path}: {broken[0]} is not finite in float16")
    return weights, used, dims


def compact(weights: nano.Weights, used: list[int], dims: dict[str, int]) -> bytes:
    """Return the bytes of the compact file."""
    kept = {name: np.ascontiguousarray(value) for name, value in weights.items() if name != nano.POSITIONS}
    metadata = {"architecture": "whisper", "dims": json.dumps(dims), "note": NOTE, "token_ids": json.dumps(used)}
    return with_sorted_header(save(kept, metadata=metadata))


def with_sorted_header(data: bytes) -> bytes:
    """Sort the metadata of a safetensors file, which that library writes in a different order each time.

    The format: 8 bytes little-endian length of a JSON header, the header, padded with spaces to a multiple of 8, and
    the tensors, whose offsets count from the header's end (https://github.com/huggingface/safetensors#format).
    """
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def check(path: Path, weights: nano.Weights, used: list[int]) -> None:
    """Expand a compact file and compare it with what it was made from. Raises ExportError."""
    expanded = nano.expand(path)
    for name, value in weights.items():
        if name in (nano.EMBEDDING, nano.POSITIONS):
            continue
        if not np.array_equal(expanded[name], value):
            raise ExportError(f"{path}: {name} came back different")
    others = np.delete(expanded[nano.EMBEDDING], used, axis=0)
    rows = weights[nano.EMBEDDING]
    if not np.array_equal(expanded[nano.EMBEDDING][used], rows[:-1]) or not (others == rows[-1]).all():
        raise ExportError(f"{path}: {nano.EMBEDDING} came back different")


def main() -> int:
    parser = argparse.ArgumentParser(description="Turn a checkpoint of train.py into the compact file.")
    parser.add_argument("checkpoint", type=Path, metavar="IN.pt")
    parser.add_argument("output", type=Path, metavar="OUT.safetensors")
    chosen = parser.parse_args()
    try:
        weights, used, dims = read(chosen.checkpoint)
        chosen.output.write_bytes(compact(weights, used, dims))
        check(chosen.output, weights, used)
    except (ExportError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    print(f"{chosen.output}: {chosen.output.stat().st_size / 1e6:.2f} MB, {len(used)} tokens with rows of their own")
    return 0


if __name__ == "__main__":
    sys.exit(main())
