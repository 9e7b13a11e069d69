"""How exactly a device multiplies, told from its products alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backends.mlx_runtime import OnMlx, matmul_precision


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
