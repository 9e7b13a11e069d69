"""Whether a file of weights has what a model asks for, where a library does not look: what is absent stays random."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from backends.base import BackendError

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
                f"its weights are not those that its config.json asks for: {fault}", "fetch the model again", "model"
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
