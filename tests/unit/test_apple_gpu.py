"""How exactly a device multiplies, told from its products alone; and what to do where an operator is absent."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backends.base import BackendError, TranscribeOptions
from backends.mlx_runtime import OnMlx, matmul_precision
from backends.whisper.transformers import TransformersWhisper, usable_device


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


class Torch:
    """As much of torch as a device is chosen with. sick: what goes wrong on which device."""

    float16 = "float16"

    def __init__(self, there: str, **sick: Any) -> None:
        self.sick, self.waited = sick, []  # type: ignore[var-annotated]
        self.cuda, self.mps = (SimpleNamespace(
            is_available=lambda name=name: name in there.split(),
            synchronize=lambda name=name: (self.waited.append(name), self._fail(f"{name}_wait")),
            memory_allocated=lambda: 1, max_memory_allocated=lambda: 2, current_allocated_memory=lambda: 3,
            driver_allocated_memory=lambda: 5, recommended_max_memory=lambda: 9,
        ) for name in ("cuda", "mps"))  # fmt: skip
        self.backends = SimpleNamespace(mps=self.mps)

    def _fail(self, name: str) -> Any:
        if isinstance(self.sick.get(name), BaseException):
            raise self.sick[name]
        return self.sick.get(name, 4096.0)

    def ones(self, shape: Any, dtype: Any, device: str) -> Any:
        name = device.partition(":")[0]
        total = self._fail(name)
        product = SimpleNamespace(sum=lambda: total)
        return type("Ones", (), {"__matmul__": lambda *_: product})()


NO_MEMORY = RuntimeError("MPS backend out of memory (MPS allocated: 0 bytes, other allocations: 0 bytes)\nTried to")


@pytest.mark.parametrize(
    ("torch", "device", "said"),
    [
        (Torch(""), "cpu", []),
        (Torch("cuda mps"), "cuda:0", []),
        (Torch("mps"), "mps", []),
        (Torch("mps", mps=NO_MEMORY), "cpu", ["ran without mps, .* MPS backend out of memory"]),
        (Torch("mps", mps_wait=NO_MEMORY), "cpu", ["out of memory"]),
        (Torch("mps", mps=float("nan")), "cpu", ["a sum of 4096 came out as nan"]),
        (Torch("mps", mps=0.0), "cpu", ["came out as 0"]),
        (Torch("cuda", cuda=AssertionError()), "cpu", ["AssertionError"]),
        (Torch("cuda mps", cuda=NotImplementedError("no kernel image")), "mps", ["cuda:0, .* no kernel image"]),
        (Torch("cuda mps", cuda=OSError("a"), mps=OSError("b")), "cpu", ["cuda:0", "mps"]),
    ],
)
def test_a_device_that_says_it_is_there(
    torch: Torch, device: str, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot multiply is not used, nor waited for or asked for its memory afterwards; the row says so."""
    chosen, warnings = usable_device(torch)
    assert chosen == device and len(warnings) == len(said)
    assert all(map(re.search, said, warnings)) and not any("\n" in one for one in warnings)
    monkeypatch.setitem(sys.modules, "torch", torch)
    backend = TransformersWhisper()
    backend._device = chosen
    torch.waited.clear()
    backend.synchronize()
    assert torch.waited == ([] if device == "cpu" else [device.partition(":")[0]])
    assert backend.device_memory().peak == {"cpu": None, "mps": 5, "cuda:0": 2}[device]


def test_arithmetic_is_tested_where_it_is_exact() -> None:
    """conftest sees to it: a GPU's orders of summation and TF32 are no matter of these tests."""
    mx = pytest.importorskip("mlx.core")
    assert (mx.default_device().type, os.environ["MLX_ENABLE_TF32"]) == (mx.DeviceType.cpu, "0")


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
