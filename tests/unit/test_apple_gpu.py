"""How exactly a device multiplies, told from its products alone; and what to do where an operator is absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.base import BackendError, TranscribeOptions
from backends.mlx_runtime import OnMlx, matmul_precision
from backends.whisper.transformers import TransformersWhisper


def rounded(bits: int) -> Any:
    """A multiplication of inputs with so many significant bits, as tensor units do it; float32 has 24, TF32 has 11."""

    def multiply(a: Any, b: Any) -> Any:
        def cut(x: Any) -> Any:
            lost = 24 - bits
            return (((x.view(np.uint32) + (1 << lost >> 1)) >> lost) << lost).astype(np.uint32).view(np.float32)

        return cut(a) @ cut(b)

    return multiply


@pytest.mark.parametrize(("bits", "word"), [(24, "full"), (22, "full"), (11, "TF32"), (10, "TF32"), (8, "TF32")])
def test_lost_bits_are_seen(bits: int, word: str) -> None:
    assert matmul_precision(rounded(bits)) == word


def test_mlx_on_a_processor_is_exact() -> None:
    mx = pytest.importorskip("mlx.core")
    with mx.stream(mx.cpu):
        assert OnMlx().observed() == (("fp32 matmul", "full"),)


ABSENT = (
    "The operator 'aten::_fft_r2c' is not currently implemented for the MPS device. If you want this op to be "
    "considered for addition please comment on an issue. As a temporary fix, you can set the environment variable "
    "`PYTORCH_ENABLE_MPS_FALLBACK=1` to use the CPU as a fallback for this op. WARNING: this will be slower."
)


@pytest.mark.parametrize("message", [ABSENT, "model of a kind that is not implemented"])
def test_an_operator_that_mps_lacks(message: str) -> None:
    """PyTorch's sentence as MPSFallback.mm has it; other things that are not implemented are no matter of MPS."""
    backend = TransformersWhisper()

    def fail(*_: object) -> Any:
        raise NotImplementedError(message)

    backend._text_looked_at = fail  # type: ignore[method-assign]
    with pytest.raises((BackendError, NotImplementedError)) as caught:
        backend.transcribe(np.zeros(16_000, np.float32), TranscribeOptions())
    if message != ABSENT:
        assert not isinstance(caught.value, BackendError)
        return
    assert isinstance(caught.value, BackendError)
    assert (caught.value.message, caught.value.kind) == (
        "PyTorch has no aten::_fft_r2c for Apple's GPU", "unsupported"
    )  # fmt: skip
    assert caught.value.hint.startswith("set PYTORCH_ENABLE_MPS_FALLBACK=1 ")


def test_the_fallback_is_never_set_here() -> None:
    """Every mention of the variable in the program reads it or names it to people."""
    root = Path(__file__).parents[2]
    files = [path for package in ("backends", "speedtest_tui") for path in (root / package).rglob("*.py")]
    mentions = [path.name for path in files if "PYTORCH_ENABLE_MPS_FALLBACK" in path.read_text(encoding="utf-8")]
    assert mentions == ["transformers.py"]
