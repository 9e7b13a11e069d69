"""Models that are not the catalogue's, by their names: a path, "converted/<name>", a repository that is in a cache."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from backends.base import ModelSpec, RequiredFile, is_repository
from backends.catalogue import BY_BACKEND, SIZES, folder_config
from speedtest_tui.core import locations
from speedtest_tui.core.errors import UserError

CONVERTED = "converted/"
"""How the name of a model begins that this program converted; the rest is its folder's name."""


def path_of(text: str) -> Path:
    """The folder or file that a path means, absolute. Raises UserError where there is none."""
    try:
        path = Path(text).expanduser().absolute()
        path = path.resolve() if ".." in path.parts else path
        exists, is_file = path.exists(), path.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UserError(f"{text} cannot be read ({reason})", "name a model's folder that is readable") from error
    if not exists:
        raise UserError(f"{text} does not exist", "name a model's folder, or a size such as small")
    if is_file and path.suffix == ".nemo":
        raise UserError(f"{text} is a NeMo checkpoint", f"convert it first: `speedtest-tui convert {text}`")
    return path


def kind_of(path: Path) -> str:
    """What lies there, in words."""
    if path.is_file():
        return {".pt": "a PyTorch checkpoint", ".pth": "a PyTorch checkpoint"}.get(
            path.suffix, f"a {path.suffix or 'plain'} file"
        )
    config = folder_config(path)
    if "d_model" in config:
        return "weights as transformers keeps them"
    if "n_audio_state" in config:
        return "Whisper for MLX"
    if (path / "model.bin").exists():
        return "a CTranslate2 model"
    if any(path.glob("*.pt")):
        return "PyTorch checkpoints"
    return "a model of another kind" if config else "it has no config.json"


def cached(repository: str) -> Path | None:
    """The folder of a repository of the hub that is in a cache, with its config.json."""
    from speedtest_tui.core.models.examine import examine
    from speedtest_tui.core.models.status import CACHES

    asked = ModelSpec("hub", repository, (RequiredFile(("config.json",)),))
    states = (examine(asked, cache) for cache in CACHES)
    return next((state.path for state in states if state.state == "complete" and state.path), None)


def name_of_folder(folder: Path) -> str:
    """What a model's folder is called as a size."""
    inside = folder.parent in locations.converted_folders() and folder_of(CONVERTED + folder.name) is not None
    return f"{CONVERTED}{folder.name}" if inside else str(folder)


def folder_of(name: str) -> Path | None:
    """The folder or file that "converted/<name>" or an absolute path means; None for all other names."""
    if name.startswith(CONVERTED):
        from speedtest_tui.core.models.layout import is_safe_part

        part = name.removeprefix(CONVERTED)
        named = [folder / part for folder in locations.converted_folders()] if is_safe_part(part) else []
        return next((folder for folder in named if os.path.lexists(folder)), next(iter(named), None))
    return Path(name) if Path(name).is_absolute() else None


def is_there(name: str) -> bool:
    """Whether a name means a folder, as `folder_of` understands it, that exists."""
    folder = folder_of(name)
    return folder is not None and exists(folder)


def lies_here(spec: ModelSpec) -> bool:
    """Whether anything of a model is in its place in a cache; cheap, and nothing is read."""
    from speedtest_tui.core.models.places import places
    from speedtest_tui.core.models.status import CACHES

    return any(exists(place.path) for cache in CACHES for place in places(spec, cache) if place.certain)


def may_mean(name: str) -> bool:
    """Whether a remembered name is still one of a model, as far as can be told without asking backends."""
    known = name in SIZES or any(name in models for models in BY_BACKEND.values())
    return known or (is_repository(name) and not name.startswith(CONVERTED)) or is_there(name)


def is_size(name: str) -> bool:
    """Whether a name is one of a backend's catalogue: neither a path, nor converted here, nor a repository."""
    return folder_of(name) is None and not name.startswith(CONVERTED) and not is_repository(name)


def exists(path: Path) -> bool:
    """Whether something is there that may be asked about."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


@dataclass(frozen=True)
class ConvertedModel:
    """A conversion that is there and proven. `form`: "bfloat16", "8-bit"; parameters: numbers in the model."""

    size: str
    family: str
    form: str
    parameters: int


def converted_models() -> tuple[ConvertedModel, ...]:
    """All models that this program converted, by name; folders without a readable account are left out."""
    folders: dict[str, Path] = {}
    for folder in locations.converted_folders():
        with contextlib.suppress(OSError):
            folders = {one.name: one for one in folder.iterdir()} | folders
    found = (_described(folders[name]) for name in sorted(folders) if not name.startswith("."))
    return tuple(model for model in found if model)


def _described(folder: Path) -> ConvertedModel | None:
    from speedtest_tui.core.convert import report

    found = report.read(folder)
    if found is None:
        return None
    return ConvertedModel(CONVERTED + folder.name, found.family, found.form, found.parameters)
