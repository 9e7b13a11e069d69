"""Where every weight goes: one rule for each parameter of the MLX model, from the sizes alone.

The rules say which NeMo tensors a parameter comes from, what shape those must have and how its axes are turned. They
follow from the kind of layer, never from the shape of what was found: square tensors would otherwise be guesses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from speedtest_tui.core.convert.checkpoint import Checkpoint
from speedtest_tui.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["vector", "linear", "embedding", "matrix", "conv1d", "conv2d"]
"""linear and embedding are layers that MLX can quantise; a matrix is any other that keeps its axes."""

AXES: dict[str, tuple[int, ...]] = {"conv1d": (0, 2, 1), "conv2d": (0, 2, 3, 1)}
"""torch keeps a convolution as (out, in, ...), MLX as (out, ..., in)."""

SKIPPED = ("preprocessor.featurizer.window", "preprocessor.featurizer.fb")
SKIPPED_ENDS = (".num_batches_tracked", "._embedding.position_embedding.pos_enc")
"""What needs no place in the output: the mel front end and sinusoids are computed, counters matter in training only."""

NAMED = 4
"""How many keys an error names."""


@dataclass(frozen=True)
class Rule:
    """`target` is made of one source, or is the sum of two; `shape` is that of each source."""

    target: str
    sources: tuple[str, ...]
    shape: tuple[int, ...]
    kind: Kind

    @property
    def count(self) -> int:
        """Numbers in the parameter."""
        return math.prod(self.shape)

    @property
    def target_shape(self) -> tuple[int, ...]:
        axes = AXES.get(self.kind)
        return self.shape if axes is None else tuple(self.shape[axis] for axis in axes)


def same(name: str, shape: Sequence[int], kind: Kind) -> Rule:
    """A parameter that keeps its name."""
    return Rule(name, (name,), tuple(shape), kind)


def vector(name: str, size: int) -> Rule:
    return same(name, (size,), "vector")


def linear(name: str, outputs: int, inputs: int, bias: bool = True) -> Iterator[Rule]:
    """A fully connected layer."""
    yield same(f"{name}.weight", (outputs, inputs), "linear")
    if bias:
        yield vector(f"{name}.bias", outputs)


def conv1d(name: str, outputs: int, inputs: int, width: int, bias: bool = True) -> Iterator[Rule]:
    """`inputs`: channels that each output sees, 1 where it is depthwise."""
    yield same(f"{name}.weight", (outputs, inputs, width), "conv1d")
    if bias:
        yield vector(f"{name}.bias", outputs)


def conv2d(name: str, outputs: int, inputs: int, width: int) -> Iterator[Rule]:
    yield same(f"{name}.weight", (outputs, inputs, width, width), "conv2d")
    yield vector(f"{name}.bias", outputs)


def norm(name: str, width: int) -> Iterator[Rule]:
    yield vector(f"{name}.weight", width)
    yield vector(f"{name}.bias", width)


def skipped(name: str) -> bool:
    return name in SKIPPED or name.endswith(SKIPPED_ENDS)


def check(rules: Sequence[Rule], checkpoint: Checkpoint) -> tuple[str, ...]:
    """See that rules and checkpoint match exactly; return the keys that are skipped, sorted.

    Raises UserError that names keys which are missing, unknown, of another shape or no floating-point numbers.
    """
    wanted = {source: rule.shape for rule in rules for source in rule.sources}
    found = checkpoint.tensors
    left_out = tuple(sorted(name for name in found if skipped(name)))
    missing = [name for name in wanted if name not in found]
    if missing:
        raise _keys(f"the checkpoint lacks {_some(missing)}", "its configuration says that they exist")
    unknown = [name for name in found if name not in wanted and not skipped(name)]
    if unknown:
        raise _keys(f"the checkpoint has unknown weights: {_some(unknown)}", "its configuration has no place for them")
    shaped = [
        f"{name} {list(found[name].shape)} instead of {list(shape)}"
        for name, shape in wanted.items()
        if found[name].shape != shape
    ]
    if shaped:
        raise _keys(f"weights of the wrong shape: {_some(shaped)}", "they do not fit its configuration")
    whole = [name for name in wanted if not checkpoint.is_floating(name)]
    if whole:
        raise _keys(f"weights that are no floating-point numbers: {_some(whole)}", "they cannot be converted")
    return left_out


def build(rule: Rule, checkpoint: Checkpoint) -> NDArray[np.float32]:
    """Make one parameter. Raises UserError, OSError."""
    import numpy as np

    value = checkpoint.read(rule.sources[0])
    for other in rule.sources[1:]:
        value = value + checkpoint.read(other)
    if rule.kind in AXES:
        value = np.ascontiguousarray(value.transpose(AXES[rule.kind]))
    return value


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _keys(what: str, why: str) -> UserError:
    return UserError(what, f"{why}; nothing was written")
