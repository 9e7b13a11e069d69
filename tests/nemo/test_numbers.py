"""Number formats and key rules on their own."""

from __future__ import annotations

import numpy as np
import pytest

from speedtest_tui.core.convert import numbers
from speedtest_tui.core.convert.checkpoint import UnsafePickleError, read
from speedtest_tui.core.convert.keymap import Rule, conv1d, conv2d
from speedtest_tui.core.errors import UserError


def cast(value: np.ndarray, dtype: numbers.DType) -> bytes:
    return b"".join(bytes(piece) for piece in numbers.cast("weight", value, dtype))


def test_bfloat16_is_rounded_as_torch_does() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**32, 300_000, dtype=np.uint32)
    value = bits.view(np.float32)
    value = value[np.isfinite(value) & (np.abs(value) < 3e38)]
    # A third of them lies exactly between two neighbours.
    value[::3] = (value[::3].view(np.uint32) & 0xFFFF0000 | 0x8000).view(np.float32)
    expected = torch.from_numpy(value.copy()).to(torch.bfloat16).view(torch.int16).numpy()
    with np.errstate(all="ignore"):
        found = np.concatenate([np.frombuffer(cast(np.array([v]), "bfloat16"), np.int16) for v in value[:2000]])
    assert np.array_equal(found, expected[:2000])


@pytest.mark.parametrize("place", [0, numbers.BLOCK - 1, numbers.BLOCK, numbers.BLOCK + 7])
def test_a_single_nan_is_found_in_any_block(place: int) -> None:
    value = np.zeros(numbers.BLOCK + 8, np.float32)
    value[place] = np.nan
    with pytest.raises(UserError, match="weight holds NaN"):
        cast(value, "float32")


def test_sums_that_overflow_are_no_reason_to_refuse() -> None:
    value = np.full(1000, 3e38, np.float32)
    with np.errstate(over="ignore"):
        assert cast(value, "float32") == value.tobytes()


def test_axes_follow_the_kind_of_layer_even_where_all_are_equal() -> None:
    weight, _ = conv2d("conv", 3, 3, 3)
    assert weight.kind == "conv2d"
    assert next(iter(conv1d("conv", 4, 2, 5))).target_shape == (4, 5, 2)
    assert weight.target_shape == (3, 3, 3, 3)


def test_only_layers_of_a_fitting_width_are_packed() -> None:
    form = numbers.Format("float16", 4, 64)
    packed = Rule("a.weight", ("a.weight",), (8, 128), "linear")
    assert [tensor.shape for tensor in numbers.plan(packed, form)] == [(8, 16), (8, 2), (8, 2)]
    for kind, shape in (("linear", (8, 96)), ("matrix", (8, 128)), ("conv1d", (8, 1, 64))):
        rule = Rule("a.weight", ("a.weight",), shape, kind)  # type: ignore[arg-type]
        assert [tensor.kind for tensor in numbers.plan(rule, form)] == ["F16"]


def test_groups_are_as_large_as_they_can_be() -> None:
    def rule(width: int) -> Rule:
        return Rule("a.weight", ("a.weight",), (8, width), "linear")

    assert numbers.format_of("float16", 8, [rule(96), rule(128)]).group == 64
    assert numbers.format_of("float16", 8, [rule(96), rule(16)]).group == 32
    assert numbers.format_of("float16", 0, [rule(16)]) == numbers.Format("float16")
    with pytest.raises(UserError, match="no layer is wide enough for 8 bits"):
        numbers.format_of("float16", 8, [rule(16)])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"\x80\x02}.x",
        b"\x80\x02cos\nsystem\n.",
        b"\x80\x02r\xff\xff\xff\x7f.",
        b"\x80\x02]q\x00.",
        b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.",
        b"\x80\x02}K\x01K\x02s.",
        b"\x80\x02" + b"(" * 1000 + b".",
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93.",
    ],
)
def test_pickles_that_hold_no_tensors(data: bytes) -> None:
    if data == b"\x80\x02}.x":
        assert read(data) == {}
        return
    with pytest.raises(UnsafePickleError):
        read(data)
