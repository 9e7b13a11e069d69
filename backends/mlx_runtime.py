"""What the MLX backends share: evaluating a model, reading off what it is made of, and whether a file of weights has
what a model asks for, where a library does not look (what is absent would stay random).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from backends.base import BackendError, DeviceMemory, Engine, Library, Loaded, Location, ModelSpec


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


def loaded(
    model: Any, spec: ModelSpec, location: Location, files: Iterable[Path], options: tuple[tuple[str, str], ...]
) -> Loaded:
    """Put all of a model's arrays on the device, so that loading ends when this returns, and say what it is made of."""
    import mlx.core as mx

    mx.eval(list(own_arrays(model)))
    mx.synchronize()
    device = "cpu"
    if mx.default_device().type == mx.DeviceType.gpu:
        device = f"gpu ({mx.device_info().get('device_name', 'unknown')})"
    paths = tuple(map(str, files))
    return Loaded(device, *composition(model), spec.source, location.revision, paths, options)


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
            # Of what is computed and no parameter, positions alone are weights in OpenAI's own file.
            if (name.startswith("_") and name != "_positional_embedding") or not isinstance(value, mx.array):
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


class OnMlx(Library):
    """What every backend on MLX has alike."""

    engine: Engine = "mlx"

    def synchronize(self) -> None:
        """Wait until the device has finished what was asked of it."""
        import mlx.core as mx

        mx.synchronize()

    def device_memory(self) -> DeviceMemory:
        """MLX's own counters; they leave out what torch and numpy hold in the same process.

        Freed buffers are kept in MLX's cache. On Metal `device_info` tells MTLDevice.recommendedMaxWorkingSetSize.
        """
        import mlx.core as mx

        limit: Any = mx.device_info().get("max_recommended_working_set_size")
        return DeviceMemory(mx.get_active_memory(), mx.get_peak_memory(), mx.get_cache_memory(), limit)

    def observed(self) -> tuple[tuple[str, str], ...]:
        """Whether float32 matrices are multiplied in full precision; MLX 0.30 and newer does not on an M5 (TF32)."""
        return (("fp32 matmul", matmul_precision()),)

    def close(self) -> None:
        """Drop the model and give freed buffers back to the system."""
        import mlx.core as mx

        super().close()
        mx.clear_cache()


PROBE_SIZE = 256
"""Rows and columns of the matrices: enough for MLX's general kernel, 0.75 MB in all."""

FULL_ERROR = 1e-6
"""Relative to |a| @ |b|. Of these matrices float32 makes 1.4e-8 on Linux, inputs rounded to TF32's 11 bits 6e-5."""


def matmul_precision(multiply: Callable[[Any, Any], Any] | None = None) -> Literal["full", "TF32"]:
    """How exactly the default device multiplies float32 matrices: the largest error against float64 on the processor.

    multiply: of two float32 arrays of numpy, shape (PROBE_SIZE, PROBE_SIZE); MLX's own by default
    """
    import numpy as np

    angles = np.arange(2 * PROBE_SIZE * PROBE_SIZE, dtype=np.float64)
    a, b = np.sin(angles).astype(np.float32).reshape(2, PROBE_SIZE, PROBE_SIZE)
    got = np.asarray((multiply or _multiply)(a, b), dtype=np.float64)
    # A few rows will do: numpy's threads would go on spinning after a large product.
    wide, other = a[:8].astype(np.float64), b.astype(np.float64)
    error = np.abs(got[:8] - wide @ other) / (np.abs(wide) @ np.abs(other))
    return "full" if float(error.max()) < FULL_ERROR else "TF32"


def _multiply(a: Any, b: Any) -> Any:
    import mlx.core as mx

    return mx.matmul(mx.array(a), mx.array(b))


Shapes = Mapping[str, tuple[int, ...]]
"""Parameters by name."""

WITH_DEFAULTS = frozenset({"alignment_heads"})
"""What Whisper has good values for by itself, of any length. Most files leave it out."""


def difference(asked: Shapes, found: Shapes) -> str:
    """The first parameter that a model and its file disagree about, in words, and how many more; empty for none."""
    missing = [f"{name} is missing" for name in asked if name not in found]
    extra = [f"{name} has no place in it" for name in found if name not in asked]
    wrong = [
        f"{name} has shape {_by(found[name])} instead of {_by(asked[name])}"
        for name in asked
        if name in found and found[name] != asked[name]
    ]
    faults = [*missing, *wrong, *extra]
    if not faults:
        return ""
    return f"{faults[0]} (and {len(faults) - 1} more)" if len(faults) > 1 else faults[0]


@contextmanager
def all_weights(kind: type) -> Iterator[None]:
    """Let `kind`, a class of MLX models, be updated with exactly the parameters that it has, for as long as this lasts.

    Names and shapes are compared as the library hands them over: nothing is read for it. Raises BackendError with kind
    "model" out of the library's own loading.
    """
    from mlx.utils import tree_flatten

    own: Any = kind
    original = own.update

    def update(model: Any, parameters: Any, *arguments: Any, **named: Any) -> Any:
        asked, found = (_shapes(tree_flatten(tree)) for tree in (model.parameters(), parameters))
        if fault := difference(asked, found):
            raise BackendError(
                f"its weights are not those that its config.json asks for: {fault}", "download the model again", "model"
            )
        return original(model, parameters, *arguments, **named)

    own.update = update
    try:
        yield
    finally:
        if "update" in vars(kind):
            del own.update
        if own.update is not original:
            own.update = original


def _shapes(parameters: list[tuple[str, Any]]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(array.shape) for name, array in parameters if name not in WITH_DEFAULTS}


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "()"


def packing(weights: Mapping[str, Any], path: str, module: Any) -> bool | dict[str, int]:
    """Group size and bits of a quantised layer, which follow from its shapes; False for plain ones."""
    scales, packed = weights.get(f"{path}.scales"), weights.get(f"{path}.weight")
    if scales is None or packed is None or not hasattr(module, "to_quantized"):
        return False
    width = module.weight.shape[-1]
    return {"group_size": width // scales.shape[-1], "bits": packed.shape[-1] * 32 // width}
