"""Writing model.safetensors one tensor after the other, so that no more than one is in memory."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

from speedtest_tui.core.convert.numbers import Tensor

ALIGNMENT = 8
"""The format wants the data to begin at a multiple of this."""


class SafetensorsFile:
    """A file whose tensors are known beforehand and arrive in that order. Use it in a `with` statement."""

    def __init__(self, path: Path, tensors: Sequence[Tensor]) -> None:
        """Write the header. Raises OSError."""
        self._left = list(tensors)[::-1]
        header: dict[str, object] = {"__metadata__": {"format": "mlx"}}
        at = 0
        for tensor in tensors:
            header[tensor.name] = {
                "dtype": tensor.kind, "shape": list(tensor.shape), "data_offsets": [at, at + tensor.bytes],
            }  # fmt: skip
            at += tensor.bytes
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % ALIGNMENT)
        self._file = path.open("wb")
        self._file.write(struct.pack("<Q", len(text)) + text)

    def __enter__(self) -> SafetensorsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._file.close()
        assert kind or not self._left, f"{self._left[-1].name} was not written"

    def write(self, tensors: Sequence[Tensor], pieces: Iterable[memoryview]) -> None:
        """Write the bytes of the next tensors. Raises OSError."""
        for tensor in tensors:
            assert self._left.pop() == tensor, "tensors come in the order of the header"
        expected, written = sum(tensor.bytes for tensor in tensors), 0
        for piece in pieces:
            written += self._file.write(piece)
        assert written == expected, f"{tensors[0].name} has {written} bytes, not {expected}"
