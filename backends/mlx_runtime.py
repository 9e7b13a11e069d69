"""What the three MLX backends share: evaluating a model, and reading off what it is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from backends.base import DeviceMemory


def own_arrays(model: Any) -> Iterator[Any]:
    """Every array that hangs on any module of an `mlx.nn.Module`, those behind an underscore included.

    `model.parameters()` leaves out names that begin with an underscore (positional embeddings, masks); left unevaluated
    they would be computed inside the first transcription.
    """
    import mlx.core as mx

    for module in model.modules():
        for value in module.values():
            if isinstance(value, mx.array):
                yield value
        for value in vars(module).values():
            if isinstance(value, mx.array):
                yield value


def evaluate(model: Any) -> None:
    """Put all of a model's arrays on the device, so that loading ends when this returns."""
    import mlx.core as mx

    mx.eval(list(own_arrays(model)))
    mx.synchronize()


def device_name() -> str:
    """The device that MLX computes on: "cpu", or "gpu" with the chip's name."""
    import mlx.core as mx

    if mx.default_device().type == mx.DeviceType.gpu:
        return f"gpu ({mx.device_info().get('device_name', 'unknown')})"
    return "cpu"


def composition(model: Any) -> tuple[str, float | None, int]:
    """Return (dtype, stored bits per weight, parameter count) of an `mlx.nn.Module`.

    A quantised layer packs 32 // bits weights into each uint32; its scales and biases count towards the stored bits but
    are no parameters of the unquantised model.
    """
    import mlx.core as mx

    stored_bytes = parameters = 0
    kinds: Counter[str] = Counter()
    for module in model.modules():
        quantised = "scales" in module
        for name, value in module.items():
            packed = quantised and name == "weight"
            if name.startswith("_") or not isinstance(value, mx.array):
                continue
            if not (packed or mx.issubdtype(value.dtype, mx.floating)):
                continue  # indices, such as Whisper's alignment heads, are no weights
            stored_bytes += value.nbytes
            if packed:
                parameters += value.size * 32 // module.bits
            elif not (quantised and name in ("scales", "biases")):
                parameters += value.size
            if not packed:
                kinds[str(value.dtype).removeprefix("mlx.core.")] += value.nbytes
    dtype = kinds.most_common(1)[0][0] if kinds else ""
    return dtype, (stored_bytes * 8 / parameters if parameters else None), parameters


class OnMlx:
    """What every backend on MLX has alike."""

    def synchronize(self) -> None:
        """Wait until the device has finished what was asked of it."""
        import mlx.core as mx

        mx.synchronize()

    def device_memory(self) -> DeviceMemory:
        """MLX's own counters; they leave out what torch and numpy hold in the same process."""
        import mlx.core as mx

        return DeviceMemory(active=mx.get_active_memory(), peak=mx.get_peak_memory())


def release() -> None:
    """Give freed buffers back to the system."""
    import mlx.core as mx

    mx.clear_cache()
