"""What may be imported where, each in a fresh interpreter: start-up time and the UI's memory depend on it."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import backends
import speedtest_tui.core
from speedtest_tui.cli.main import COMMANDS, Entry

LIBRARIES = ("torch", "mlx", "transformers", "numba", "librosa", "pocketsphinx", "mlx_whisper", "parakeet_mlx")


def imported(*modules: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after importing some modules."""
    code = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *modules], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


def modules_of(*packages: object) -> list[str]:
    """All modules of some packages; a backend's own module must be among them."""
    found = []
    for package in packages:
        prefix = package.__name__ + "."  # type: ignore[attr-defined]
        found += [module.name for module in pkgutil.walk_packages(package.__path__, prefix)]  # type: ignore[attr-defined]
    return found


MODELS = {"backends.canary.model"}
"""Network definitions: their classes derive from the library's, so they are imported with it, in the child only."""


def test_core_and_backends_import_neither_a_screen_nor_a_library() -> None:
    names = [name for name in modules_of(backends, speedtest_tui.core) if name not in MODELS]
    assert {"backends.whisper.mlx", "speedtest_tui.core.race.child"} <= set(names)
    found = imported(*names)
    assert not found & {"textual", "rich", *LIBRARIES}


def test_the_child_of_a_race_imports_nothing_beside_its_backend() -> None:
    beside = {"msgspec", "numpy", "psutil", "subprocess"}
    assert not imported("speedtest_tui.core.race.child") & beside


@pytest.mark.parametrize("module", ["speedtest_tui.cli.main", "speedtest_tui.__main__"])
def test_the_command_line_imports_nothing_heavy(module: str) -> None:
    assert not imported(module) & {"textual", "rich", "numpy", "soundfile", "psutil", *LIBRARIES}


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_a_command_imports_itself_and_no_library(entry: Entry) -> None:
    """`speedtest-tui COMMAND --help`, as far as that goes before anything is printed."""
    code = (
        "import sys\n"
        "from speedtest_tui.cli.main import build_parser\n"
        "try: build_parser().parse_args([sys.argv[1], '--help'])\n"
        "except SystemExit: print('\\n', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, entry.name], check=True, capture_output=True, text=True)
    found = set(done.stdout.splitlines()[-1].split())
    assert not found & {"textual", "rich", *LIBRARIES}
    others = {f"speedtest_tui.cli.{other.module}" for other in COMMANDS} - {f"speedtest_tui.cli.{entry.module}"}
    assert not found & others


def test_asking_what_is_installed_imports_no_library() -> None:
    code = (
        "import sys\n"
        "from backends.registry import BUILT_IN, create\n"
        "for entry in BUILT_IN:\n"
        "    backend = create(entry.reference)\n"
        "    backend.availability(), backend.model('tiny')\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {name.partition(".")[0] for name in done.stdout.split()} & {"textual", "numpy", *LIBRARIES}


def test_what_a_library_spells_wrong_is_not_shown(tmp_path: Path) -> None:
    """Python 3.12 and newer warn of whisper_normalizer's patterns where it is first compiled: on a user's terminal."""
    (tmp_path / "whisper_normalizer").mkdir()
    (tmp_path / "whisper_normalizer" / "basic.py").write_text("wrong = 1 is 1\n")
    (tmp_path / "whisper_normalizer" / "__init__.py").touch()
    code = "import speedtest_tui.core.accuracy; from whisper_normalizer.basic import wrong"
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
