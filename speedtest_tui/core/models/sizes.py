"""Models that are chosen by their folder instead of a size: "converted/<name>", or the absolute path of any other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from backends.base import Backend, ModelSpec
from speedtest_tui.core import locations
from speedtest_tui.core.convert import report
from speedtest_tui.core.models.layout import is_safe_part
from speedtest_tui.core.models.places import CONVERTED, folder_of, names_in


@dataclass(frozen=True)
class ConvertedModel:
    """A conversion that is there and proven. `form`: "bfloat16", "8-bit"; parameters: numbers in the model."""

    size: str
    family: str
    form: str
    parameters: int


def converted_models() -> tuple[ConvertedModel, ...]:
    """All models that this program converted, by name; folders without a readable account are left out."""
    folder = locations.converted_folder()
    try:
        names = names_in(folder)
    except OSError:
        return ()
    found = (_described(folder / name) for name in names if not name.startswith("."))
    return tuple(model for model in found if model)


def _described(folder: Path) -> ConvertedModel | None:
    found = report.read(folder)
    if found is None:
        return None
    return ConvertedModel(CONVERTED + folder.name, found.family, found.form, found.parameters)


def size_of(folder: Path) -> str:
    """What a model folder is called as a size."""
    inside = folder.parent == locations.converted_folder() and is_safe_part(folder.name)
    return f"{CONVERTED}{folder.name}" if inside else str(folder)


def size_from(text: str) -> str:
    """What a person typed as a size, with the path of a folder made absolute."""
    if text.startswith(("/", "./", "../", "~")):
        return size_of(Path(text).expanduser().absolute())
    return text


def model_of(backend: Backend, size: str) -> ModelSpec | None:
    """The model that a size means for a backend: one of its map, or one in a folder that it can read."""
    folder = folder_of(size)
    if folder is None:
        return backend.model(size)
    spec = backend.model(str(folder))
    # The name, not the path: it says the same on the machine that a result is shown on.
    return None if spec is None or spec.kind != "folder" else replace(spec, source=size)
