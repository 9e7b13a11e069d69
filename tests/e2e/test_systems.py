"""Other systems, as far as they can be simulated: a darwin without what only Linux has, few descriptors, odd homes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from racing import TESTS, python_path

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="this is one")

IMPORTS = """
import importlib, pathlib, sys
for package in ("speedtest_tui", "backends"):
    root = pathlib.Path(importlib.import_module(package).__file__).parent
    for file in sorted(root.rglob("*.py")):
        name = ".".join((package, *file.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
        if not name.endswith("__main__"):
            importlib.import_module(name)
from backends import base
from speedtest_tui.core.race import plan, watch
assert base.sys.platform == "darwin" and plan.PULSE and abs(watch.slept()) < 0.1
assert not hasattr(base.sys.modules["speedtest_tui.core.disk"].os, "posix_fadvise")
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home and a folder for temporary files that are links, as /tmp and /var are on macOS. Returns the home."""
    for name in ("home", "tmp"):
        (tmp_path / "real" / name).mkdir(parents=True)
        (tmp_path / name).symlink_to(tmp_path / "real" / name)
    return tmp_path / "home"


def on_darwin(home: Path, *words: str, descriptors: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python there; what is shown of a failure is what it complained of."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_", "SPEEDTEST_"))}
    own = {"HOME": str(home), "TMPDIR": str(home.with_name("tmp")), "SPEEDTEST_MODELS_DIR": str(home / "models")}

    def limit() -> None:
        if descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    done = subprocess.run(
        [sys.executable, *words], env={**kept, **own, "PYTHONPATH": python_path(TESTS / "systems/darwin")}, cwd=home,
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=200, preexec_fn=limit,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_every_module_is_imported(home: Path) -> None:
    done = on_darwin(home, "-c", IMPORTS)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("doctor --json", '"backends"'),
        ("check-models --all", "models can be used"),
        ("repair", "No problems found"),
        ("repair --trash", "empty"),
        ("record --help", "OUT.wav"),
        ("sessions list", "No sessions yet"),
    ],
)
def test_commands(home: Path, words: str, says: str) -> None:
    done = on_darwin(home, "-m", "speedtest_tui", *words.split())
    assert says in done.stdout, done.stderr


@pytest.mark.timeout(240)
def test_a_race_of_all_nano_backends_with_few_descriptors(home: Path) -> None:
    done = on_darwin(home, "-m", "speedtest_tui", "run", "--demo", "--runs", "1", "--json", "-", descriptors=256)
    results = json.loads(done.stdout)["results"]
    ran = [result for result in results if result["status"] not in ("unavailable", "missing-model")]
    assert ran
    assert [result["status"] for result in ran] == ["ok"] * len(ran), done.stdout
    assert [path.name for path in home.with_name("tmp").iterdir() if not path.name.startswith("torch")] == []
    assert not list(home.rglob("*.partial"))
