"""The one place that knows where caches, data and settings lie on this machine."""

from __future__ import annotations

import os
from pathlib import Path

APP = "speedtest-tui"


def _from_environment(*names: str) -> Path | None:
    for name in names:
        if value := os.environ.get(name):
            # A home that does not exist stays a plain name: Path's own way of expanding would raise.
            return Path(os.path.expanduser(value)).absolute()  # noqa: PTH111
    return None


def hf_cache() -> Path:
    """The Hugging Face hub cache, by the same rules as huggingface_hub 2.4 `constants.py`, without importing it."""
    if named := _from_environment("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        return named
    if home := _from_environment("HF_HOME"):
        return home / "hub"
    base = _from_environment("XDG_CACHE_HOME") or Path.home() / ".cache"
    return base / "huggingface" / "hub"


def whisper_cache() -> Path:
    """Where OpenAI's and whisper-mps's own code puts .pt files; no environment variable moves it."""
    return Path.home() / ".cache" / "whisper"


def local_cache() -> Path:
    """Our own cache: SPEEDTEST_MODELS_DIR, else `models/` of a checkout, else the platform's cache folder."""
    if named := _from_environment("SPEEDTEST_MODELS_DIR"):
        return named
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "models" / "README.md").is_file() and (checkout / "pyproject.toml").is_file():
        return checkout / "models"
    import platformdirs

    return Path(platformdirs.user_cache_dir(APP)) / "models"


def _data_folder() -> Path:
    """What must not be lost: SPEEDTEST_DATA_DIR or the platform's folder for user data."""
    if named := _from_environment("SPEEDTEST_DATA_DIR"):
        return named
    import platformdirs

    return Path(platformdirs.user_data_dir(APP))


def sessions_folder() -> Path:
    """Finished races."""
    return _data_folder() / "sessions"


def spool_folder() -> Path:
    """Recordings while they grow, and those that a killed program left."""
    return _data_folder() / "recordings"


def checksums_file() -> Path:
    """Which files have been hashed, and what came of it."""
    return _data_folder() / "checksums.json"


def verifications_file() -> Path:
    """Which models have been loaded, and what came of it."""
    return _data_folder() / "verifications.json"


def trash_folder() -> Path:
    """What repairs replaced or removed, until it is emptied."""
    return _data_folder() / "trash"


def converted_folder() -> Path:
    """Models that this program converted."""
    return local_cache() / "converted"


def config_file() -> Path:
    """The settings: below SPEEDTEST_CONFIG_DIR or the platform's folder for configuration."""
    if named := _from_environment("SPEEDTEST_CONFIG_DIR"):
        return named / "config.toml"
    import platformdirs

    return Path(platformdirs.user_config_dir(APP)) / "config.toml"


def existing_parent(path: Path) -> Path:
    """`path` or its nearest ancestor that exists: where its free space can be asked for."""
    return next((folder for folder in (path, *path.parents) if folder.exists()), Path("/"))


def short(path: Path) -> str:
    """A path as people write it, with ~ for their home."""
    home = Path.home()
    if path == home:
        return "~"
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
