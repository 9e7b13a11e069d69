"""The one place that knows where caches, data and settings lie on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from speedtest_tui.core.errors import UserError

APP = "speedtest-tui"


def _expanded(text: str) -> str:
    """`~` and then `$NAME`, as huggingface_hub expands them; what nobody knows stays as it is written."""
    return os.path.expandvars(os.path.expanduser(text))  # noqa: PTH111


def _own(name: str) -> Path | None:
    """The folder that a variable of ours names. Raises UserError where it begins with the home of nobody."""
    if not (value := os.environ.get(name)):
        return None
    if os.path.expanduser(value).startswith("~"):  # noqa: PTH111
        whose = value.partition("/")[0]
        raise UserError(f"{name} is {value!r}, and {whose} is no home on this machine", "name another folder")
    return Path(_expanded(value)).absolute()


def check() -> None:
    """Raises UserError where a variable of ours names no folder: before anything begins to use it."""
    for name in ("SPEEDTEST_MODELS_DIR", "SPEEDTEST_DATA_DIR", "SPEEDTEST_CONFIG_DIR"):
        _own(name)


def hf_cache() -> Path:
    """The Hugging Face hub cache, exactly as huggingface_hub 2.4 `constants.py` finds it, without importing it.

    A variable that is set and empty counts there: it is the working folder.
    """
    get, join = os.environ.get, os.path.join
    base = get("XDG_CACHE_HOME", join(_expanded("~"), ".cache"))
    home = _expanded(get("HF_HOME", join(base, "huggingface")))
    return Path(_expanded(get("HF_HUB_CACHE", get("HUGGINGFACE_HUB_CACHE", join(home, "hub"))))).absolute()


def whisper_cache() -> Path:
    """Where OpenAI's and whisper-mps's own code puts .pt files; no environment variable moves it."""
    return Path(_expanded("~/.cache/whisper")).absolute()


def local_cache() -> Path:
    """Our own cache: SPEEDTEST_MODELS_DIR, else `models/` of a checkout, else the platform's cache folder."""
    if named := _own("SPEEDTEST_MODELS_DIR"):
        return named
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "models" / "README.md").is_file() and (checkout / "pyproject.toml").is_file():
        return checkout / "models"
    import platformdirs

    return Path(platformdirs.user_cache_dir(APP)) / "models"


def data_folder() -> tuple[Path, bool]:
    """What must not be lost: SPEEDTEST_DATA_DIR or the platform's folder for user data.

    Also whether somebody named it, who may share it or keep other things in it.
    """
    if named := _own("SPEEDTEST_DATA_DIR"):
        return named, True
    import platformdirs

    return Path(platformdirs.user_data_dir(APP)), False


def sessions_folder() -> Path:
    """Finished races."""
    return data_folder()[0] / "sessions"


def sessions_index() -> Path:
    """What lists know of the sessions without reading them."""
    return data_folder()[0] / "sessions.index"


def spool_folder() -> Path:
    """Recordings while they grow, and those that a killed program left."""
    return data_folder()[0] / "recordings"


def checksums_file() -> Path:
    """Which files have been hashed, and what came of it."""
    return data_folder()[0] / "checksums.json"


def verifications_file() -> Path:
    """Which models have been loaded, and what came of it."""
    return data_folder()[0] / "verifications.json"


def trash_folder() -> Path:
    """What repairs replaced or removed, until it is emptied."""
    return data_folder()[0] / "trash"


def converted_folders(platform: str = sys.platform, cache: Path | None = None) -> tuple[Path, ...]:
    """Where models are that this program converted, the place for new ones first.

    On macOS that is with the data: programs that clean up empty ~/Library/Caches, where they were before.
    cache: takes the place of the local cache
    """
    import platformdirs

    cache = cache or local_cache()
    usual = platform == "darwin" and cache == Path(platformdirs.user_cache_dir(APP)) / "models"
    return (*([data_folder()[0] / "converted"] if usual else []), cache / "converted")


def converted_folder() -> Path:
    """Where a new one belongs."""
    return converted_folders()[0]


def crash_log() -> Path:
    """Why the dashboard had to stop the last time."""
    return data_folder()[0] / "crash.log"


def config_file() -> Path:
    """The settings: below SPEEDTEST_CONFIG_DIR or the platform's folder for configuration."""
    if named := _own("SPEEDTEST_CONFIG_DIR"):
        return named / "config.toml"
    import platformdirs

    return Path(platformdirs.user_config_dir(APP)) / "config.toml"


def existing_parent(path: Path) -> Path:
    """`path` or its nearest ancestor that exists: where its free space can be asked for."""
    # Path's own question raises for what may not be looked into.
    return next((folder for folder in (path, *path.parents) if os.path.exists(folder)), Path("/"))  # noqa: PTH110


def short(path: Path) -> str:
    """A path as people write it, with ~ for their home."""
    home = Path.home()
    if path == home:
        return "~"
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
