"""The number formats of the output: float32, float16, bfloat16, and MLX's own 8- and 4-bit packing of layers.

Writing model.safetensors one tensor after the other, so that no more than one is in memory.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from speedtest_tui.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from speedtest_tui.core.convert.keymap import Rule

    Floats = NDArray[np.float32]


DType = Literal["float32", "float16", "bfloat16"]
DTYPES: tuple[DType, ...] = ("float32", "float16", "bfloat16")
NAMES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
"""As safetensors calls them."""
SIZES = {"F32": 4, "F16": 2, "BF16": 2, "U32": 4}

BITS = (8, 4)
GROUPS = (64, 32)
"""Weights that share a scale. 64 is MLX's default; where no layer's width is a multiple of that, 32."""

BLOCK = 2**16
"""Numbers that are cast at a time: they stay in the processor's cache between the steps."""


@dataclass(frozen=True)
class Format:
    """How parameters are stored. `bits` 0: plain; else layers that can be are packed in groups of `group`."""

    dtype: DType = "bfloat16"
    bits: int = 0
    group: int = 0

    def __str__(self) -> str:
        return f"{self.bits}-bit ({self.dtype} scales)" if self.bits else self.dtype


@dataclass(frozen=True)
class Tensor:
    """A tensor of the output: `kind` is safetensors' name of its numbers."""

    name: str
    kind: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return SIZES[self.kind] * math.prod(self.shape)


def format_of(dtype: DType, bits: int, rules: Sequence[Rule]) -> Format:
    """Settle the size of groups. Raises UserError where nothing can be packed."""
    if not bits:
        return Format(dtype)
    for group in GROUPS:
        if any(packed(rule, Format(dtype, bits, group)) for rule in rules):
            return Format(dtype, bits, group)
    raise UserError(f"no layer is wide enough for {bits} bits", "convert it without --bits")


def packed(rule: Rule, form: Format) -> bool:
    """Whether a parameter becomes packed weights with scales."""
    return bool(form.bits) and rule.kind in ("linear", "embedding") and rule.shape[-1] % form.group == 0


def plan(rule: Rule, form: Format) -> tuple[Tensor, ...]:
    """What a rule's parameter becomes in the file."""
    plain = NAMES[form.dtype]
    if not packed(rule, form):
        return (Tensor(rule.target, plain, rule.target_shape),)
    rows, width = rule.shape
    layer = rule.target.removesuffix(".weight")
    return (
        Tensor(rule.target, "U32", (rows, width * form.bits // 32)),
        Tensor(f"{layer}.scales", plain, (rows, width // form.group)),
        Tensor(f"{layer}.biases", plain, (rows, width // form.group)),
    )


def encode(rule: Rule, value: Floats, form: Format) -> Iterator[memoryview]:
    """The bytes of a parameter in the order of `plan`. Raises UserError for NaN, infinity and overflow."""
    if not packed(rule, form):
        yield from cast(rule.target, value, form.dtype)
        return
    import mlx.core as mx
    import numpy as np

    _refuse_not_finite(rule.target, value)
    kind = getattr(mx, form.dtype)
    parts = mx.quantize(mx.array(value).astype(kind), group_size=form.group, bits=form.bits)
    for part in parts:
        plain = np.array(part.view(mx.uint16) if part.dtype == mx.bfloat16 else part, copy=False)
        yield np.ascontiguousarray(plain).data.cast("B")


def cast(name: str, value: Floats, dtype: DType) -> Iterator[memoryview]:
    """Pieces of `value` in another format, rounded to the nearest."""
    import numpy as np

    flat = value.reshape(-1)
    for start in range(0, len(flat), BLOCK):
        piece = flat[start : start + BLOCK]
        _refuse_not_finite(name, piece)
        if dtype == "float16":
            with np.errstate(over="ignore"):
                half = piece.astype(np.float16)
            if not np.isfinite(half).all():
                raise UserError(f"{name} holds numbers beyond float16", "convert to bfloat16 or float32")
            yield half.data.cast("B")
        elif dtype == "bfloat16":
            bits = piece.view(np.uint32)
            # Half of the last place that stays is added; ties go to even.
            yield ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16).data.cast("B")
        else:
            yield piece.data.cast("B")


def _refuse_not_finite(name: str, value: Floats) -> None:
    import numpy as np

    # NaN and infinity survive a sum, which is several times faster than a mask for each number.
    if not np.isfinite(np.sum(value)) and not np.isfinite(value).all():
        raise UserError(f"{name} holds NaN or infinity", "the checkpoint is damaged; nothing was written")


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
