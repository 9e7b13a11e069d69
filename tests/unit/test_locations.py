"""Where things lie, by which environment variable, and which of them wins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from racing import TESTS

from speedtest_tui.core import locations
from speedtest_tui.core.errors import UserError

HUB_NAMES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME")
WRITTEN = (
    "",
    "/abs",
    "rel/x",
    "~",
    "~/x",
    "~nobody-here/x",
    "$MINE/x",
    "${MINE}",
    "$NONE/x",
    "$TILDE",
    "~/$MINE",
    "/a b$",
)
ENVIRONMENTS: list[dict[str, str]] = [
    {},
    *({name: text} for name in HUB_NAMES for text in WRITTEN),
    *({a: "/first/$MINE", b: "~/second"} for a in HUB_NAMES for b in HUB_NAMES if a != b),
    *({a: "", b: "$MINE/second"} for a in HUB_NAMES for b in HUB_NAMES if a != b),
    {"HF_HOME": "$OTHER"},
    {"HF_HOME": "/h", "HUGGINGFACE_CO_STAGING": "1"},
    {"HF_HOME": "~/h", "HF_TOKEN_PATH": "$MINE/token"},
]
GIVEN = {"MINE": "/of/mine", "TILDE": "~/later", "OTHER": "$MINE/other"}
ASK_BOTH = """
import json, os, sys
from speedtest_tui.core import locations
told = []
for given in json.loads(sys.argv[1]):
    os.environ.clear()
    os.environ.update(given)
    for name in [name for name in sys.modules if name.startswith("huggingface_hub")]:
        del sys.modules[name]
    from huggingface_hub import constants
    told.append([os.path.abspath(constants.HF_HUB_CACHE), str(locations.hf_cache())])
print(json.dumps(told))
"""


def test_hf_cache_is_where_huggingface_hub_looks(tmp_path: Path) -> None:
    given = [{"HOME": str(tmp_path), **GIVEN, **environment} for environment in ENVIRONMENTS]
    command = [sys.executable, "-c", ASK_BOTH, json.dumps(given)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    child = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    told = json.loads(child.stdout)
    assert [(one, theirs) for one, (theirs, ours) in zip(ENVIRONMENTS, told, strict=True) if ours != theirs] == []


OURS = {
    "SPEEDTEST_MODELS_DIR": locations.local_cache,
    "SPEEDTEST_DATA_DIR": lambda: locations.sessions_folder().parent,
    "SPEEDTEST_CONFIG_DIR": lambda: locations.config_file().parent,
}


@pytest.mark.parametrize("name", OURS)
def test_our_own_variables_are_expanded_alike(name: str, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", str(places / "mine"))
    for text, meant in (
        ("~/x", places / "home" / "x"),
        ("$MINE/x", places / "mine" / "x"),
        ("/a/$NONE", Path("/a/$NONE")),
    ):
        monkeypatch.setenv(name, text)
        assert OURS[name]() == meant
    monkeypatch.setenv(name, "~nobody-here/x")
    with pytest.raises(UserError, match=f"{name} is '~nobody-here/x', and ~nobody-here is no home"):
        locations.check()


def test_relative_folders_become_absolute(
    places: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(here)
    monkeypatch.setenv("SPEEDTEST_MODELS_DIR", "m")
    assert locations.local_cache() == here / "m"


def test_nothing_moves_the_whisper_cache(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(places / "x"))
    assert locations.whisper_cache() == places / "home" / ".cache" / "whisper"


def test_local_cache_of_a_checkout_and_of_an_installation(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPEEDTEST_MODELS_DIR")
    for name in ("models/README.md", "pyproject.toml", "speedtest_tui/core/locations.py"):
        (places / name).parent.mkdir(parents=True, exist_ok=True)
        (places / name).touch()
    monkeypatch.setattr(locations, "__file__", str(places / "speedtest_tui/core/locations.py"))
    assert locations.local_cache() == places.resolve() / "models"
    (places / "pyproject.toml").unlink()
    installed = locations.local_cache()
    assert installed.is_relative_to(places / "home")
    assert installed.parts[-2:] == ("speedtest-tui", "models")


def test_sessions_folder(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locations.sessions_folder() == places / "data" / "sessions"
    monkeypatch.delenv("SPEEDTEST_DATA_DIR")
    assert locations.sessions_folder().is_relative_to(places / "home")


def test_nearest_existing_folder(places: Path) -> None:
    assert locations.existing_parent(places / "home" / "a" / "b") == places / "home"
    assert locations.existing_parent(places) == places
