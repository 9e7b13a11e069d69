"""The built wheel, installed where no checkout is: what `pip install`, pipx and uv make of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PACKAGES = ("speedtest_tui", "backends")
SHIPPED = {
    "backends/embedded/demo.flac", "backends/embedded/nano.en.safetensors", "backends/embedded/canary-nano.zip",
    "backends/embedded/parakeet-nano.zip", "backends/py.typed", "speedtest_tui/py.typed",
    "speedtest_tui/core/accuracy/readings.toml", "speedtest_tui/ui/screens/dashboard.tcss",
}  # fmt: skip
"""Some of what is no code, by name: were it lost from the checkout too, comparing with it would not tell."""


def program(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a program prints that sees nothing of this checkout and of this person."""
    plain = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG") if name in os.environ}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=plain | environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def build(source: Path, target: Path, kind: str) -> Path:
    pytest.importorskip("hatchling")
    program(sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", target, cwd=source)
    (built,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


def contents(wheel: Path) -> dict[str, int]:
    """Checksums by name, without the record of the names themselves."""
    with zipfile.ZipFile(wheel) as archive:
        return {one.filename: one.CRC for one in archive.infolist() if not one.filename.endswith("RECORD")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(CHECKOUT, tmp_path_factory.mktemp("dist"), "wheel")


@pytest.fixture(scope="module")
def place(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new environment, whose libraries are those of the running one: nothing is downloaded."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    # Behind the environment's own. The .pth files there, such as this checkout's, are not read.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = ("-m", "pip", "--python", folder / "env" / "bin" / "python", "install", "--quiet", "--no-deps", "--no-index")
    program(sys.executable, *pip, "--disable-pip-version-check", wheel, cwd=folder)
    (folder / "home").mkdir()
    return folder


def speedtest(place: Path, *arguments: str) -> str:
    return program(place / "env" / "bin" / "speedtest-tui", *arguments, cwd=place, HOME=str(place / "home"))


def test_every_file_is_in_the_wheel(wheel: Path) -> None:
    inside = {name for name in contents(wheel) if name.startswith(tuple(f"{one}/" for one in PACKAGES))}
    there = {
        path.relative_to(CHECKOUT).as_posix()
        for package in PACKAGES
        for path in (CHECKOUT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == there
    assert inside >= SHIPPED


def test_a_wheel_of_the_source_distribution_is_the_same(wheel: Path, tmp_path: Path) -> None:
    source = build(CHECKOUT, tmp_path / "sdist", "sdist")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (folder,) = (tmp_path / "source").iterdir()
    assert contents(build(folder, tmp_path / "again", "wheel")) == contents(wheel)
    assert {"constraints.txt", "Makefile", "tools/install.sh"} <= {
        p.relative_to(folder).as_posix() for p in folder.rglob("*")
    }


def test_the_command_says_its_version(place: Path) -> None:
    from speedtest_tui import __version__

    assert speedtest(place, "--version").strip() == f"speedtest-tui {__version__}"


def test_it_runs_what_was_installed(place: Path) -> None:
    """Otherwise all of this would test the checkout."""
    command = "import backends, speedtest_tui; print(backends.__file__, speedtest_tui.__file__)"
    found = program(place / "env" / "bin" / "python", "-c", command, cwd=place).split()
    assert all(Path(one).is_relative_to(place) for one in found), found


def test_doctor_finds_it_in_order(place: Path) -> None:
    found = json.loads(speedtest(place, "doctor", "--json"))
    assert any(one["ok"] and "nano" in one["sizes"] for one in found["backends"]), found["problems"]


def test_the_demo_runs(place: Path) -> None:
    """With the first backend that doctor finds; its built-in model is unpacked into an empty home."""
    found = json.loads(speedtest(place, "doctor", "--json"))["backends"]
    name = min((one["name"] for one in found if one["ok"]), key=lambda one: (one != "pocketsphinx", one))
    document = json.loads(speedtest(place, "run", "--demo", "--runs", "1", "--backends", name, "--json", "-"))
    (row,) = document["results"]
    assert (row["backend"], row["status"]) == (name, "ok") and row["text"]
