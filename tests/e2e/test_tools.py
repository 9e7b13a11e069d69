"""Every tool in its shortest form: what nobody starts rots.

A new file under tools/ must be named here. What trains for hours or needs NeMo only prints its help.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
TOOLS = CHECKOUT / "tools"
TIMEOUT_S = 120

BENCHES = sorted(path.name for path in TOOLS.glob("bench_*.py"))
FUZZERS = sorted(f"fuzz/{path.name}" for path in TOOLS.glob("fuzz/fuzz_*.py"))

PROGRAMS = {
    "bench/big_checkpoint.py": ["{tmp}/big.nemo", "--layers", "1"],
    "bench/cache_tree.py": ["{tmp}/tree", "--repositories", "3", "--rounds", "1"],
    "nano/make_clips.py": ["1", "5353", "{tmp}/clips", "--longest", "3"],
    "nano/make_demo.py": ["--folder", "{tmp}"],
    "nano/make_speech.py": ["1", "5353", "{tmp}/speech.npz"],
    "screenshots.py": ["--short", "--out", "{tmp}/pictures"],
}
"""What is really done, with its smallest arguments."""

HELP = {
    "nano/export.py": "needs a checkpoint that train.py took hours to make; test_embedded calls its functions",
    "nano/transcribe.py": "test_nano_models lets it transcribe",
    "nano/ship.py": "writes into the package, from a checkpoint of NeMo's",
    "nano/train.py": "trains for hours",
    "nano/train_canary.py": "trains for hours, with NeMo",
    "nano/train_parakeet.py": "trains for hours, with NeMo",
    "nemo/make_fixtures.py": "needs NeMo",
    "real_weights.py": "downloads 200 MB; test_embedded holds what it writes them with",
}

SPEAKS = {"nano/make_clips.py", "nano/make_demo.py", "nano/make_speech.py"}
"""What needs flite and espeak-ng, which are no packages of Python."""

BARE = {
    "mlx-whisper": "mlx", "transformers": "hf", "whisper-mps": "openai", "faster-whisper": "ct2", "whisper-cpp": "ggml",
    "openai-whisper": "openai",
}  # fmt: skip
"""Bare scripts, and the layout of the nano model that each reads; bench_engine's shortest form runs pocketsphinx's."""

MODULES = {
    "bench/__init__.py", "bench/report.py", "bench/terminal.py", "bench/hello.py", "bench/serve_hub.py",
    "bench/one_scan.py", "bench/bare_pocketsphinx.py", "bench/caches_download.py", "bench/caches_hash.py",
    "bench/caches_hub.py", "bench/caches_scan.py", "bench/caches_screen.py",
    "nano/batches.py", "nano/canary_batches.py", "nano/canary_config.py", "nano/canary_trainer.py",
    "nano/features.py", "nano/model.py", "nano/parakeet_config.py", "nano/tdt_loss.py", "nano/trainer.py",
    "nemo/tiny_configs.py", "fuzz/common.py",
}  # fmt: skip
"""Used by the programs above."""


def run(tool: str, *arguments: str, home: Path) -> str:
    """What a tool printed. Fails where it fails, with the end of what it said."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "SPEEDTEST_"))}
    environment |= {"HOME": str(home), "SPEEDTEST_MODELS_DIR": str(home / "models"), "HF_HUB_OFFLINE": "1"}
    environment["PYTHONPATH"] = str(CHECKOUT)
    done = subprocess.run(
        [sys.executable, str(TOOLS / tool), *arguments],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def test_every_tool_is_named_here() -> None:
    there = {path.relative_to(TOOLS).as_posix() for path in TOOLS.rglob("*.py")}
    bare = {f"bench/bare_{name.replace('-', '_')}.py" for name in BARE}
    assert there == {
        *BENCHES,
        *FUZZERS,
        *PROGRAMS,
        *HELP,
        *MODULES,
        *bare,
        "house_shape.py",
        "sweep_audio.py",
        "count_faults.py",
        "check_wheels.py",
        "check_statistics.py",
    }


@pytest.mark.parametrize("tool", BENCHES)
def test_benches(tool: str, tmp_path: Path) -> None:
    if tool == "bench_recorder.py" and not shutil.which("pulseaudio") and not os.environ.get("CI"):
        pytest.skip("pulseaudio is not installed")
    assert "load average before" in run(tool, "--short", home=tmp_path)


@pytest.mark.parametrize("tool", FUZZERS)
def test_fuzzers(tool: str, tmp_path: Path) -> None:
    """A short run of each, always of the same mutants: other seeds are for whoever searches."""
    assert " 0 faults" in run(tool, "--short", "--seconds", "30", "--seed", "1", home=tmp_path)


def test_races_tell_apart_what_is_different(tmp_path: Path) -> None:
    assert "| 3 % private, 12 % common | 20 |" in run("check_statistics.py", "--short", home=tmp_path)


def test_the_readme_counts_the_faults(tmp_path: Path) -> None:
    found = run("count_faults.py", "--check", home=tmp_path)
    assert int(found.partition(" ")[0]) >= 300


def test_what_a_fuzzer_sees(tmp_path: Path) -> None:
    """A round that raises, ends its process, wastes memory, or changes what is not its own; the others go on."""
    fuzzer = tmp_path / "odd.py"
    fuzzer.write_text(
        f"import os, sys; sys.path.insert(0, {str(TOOLS / 'fuzz')!r}); import common\n"
        "def odd(room):\n"
        "    match room.dice.seed_ % 10:\n"
        "        case 1: 1 / 0\n"
        "        case 3: os.kill(os.getpid(), 15)\n"
        "        case 5: (room.home / 'Documents' / 'thesis').chmod(0o644)\n"
        "        case 7: sys.exit(0)\n"
        "        case 9: bytearray(b'x' * 400_000_000)\n"
        "class Dice(common.random.Random):\n"
        "    def __init__(self, seed): super().__init__(seed); self.seed_ = seed\n"
        "common.random.Random = Dice\n"
        "sys.exit(common.fuzz('odd things', odd))\n"
    )
    done = subprocess.run(
        [sys.executable, fuzzer, "--seed", "0", "--rounds", "10"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "10 rounds, 5 faults" in done.stdout, done.stdout + done.stderr
    for said in ("seed 1: .*ZeroDivision", "seed 3: ended by signal 15", "seed 5: changed outside: .*thesis",
                 "seed 7: .*SystemExit", r"seed 9: \d+ MB more"):  # fmt: skip
        assert re.search(said, done.stdout, re.DOTALL), said


@pytest.mark.parametrize("tool", PROGRAMS)
def test_programs(tool: str, tmp_path: Path) -> None:
    if tool in SPEAKS and not (shutil.which("flite") and shutil.which("espeak-ng")):
        assert "usage" in run(tool, "--help", home=tmp_path)
        pytest.skip("flite or espeak-ng is not installed: only its help was printed")
    run(tool, *(part.format(tmp=tmp_path) for part in PROGRAMS[tool]), home=tmp_path)
    assert any(path.name != "models" for path in tmp_path.iterdir())


def test_check_wheels(tmp_path: Path) -> None:
    """One resolution, where the index can be asked."""
    if not shutil.which("uv"):
        pytest.skip("uv is not installed")
    try:
        assert ", 0 of" in run("check_wheels.py", "--short", home=tmp_path)
    except AssertionError as error:
        if "no network" not in str(error):
            raise
        pytest.skip("no network")


def test_sweep_audio(tmp_path: Path) -> None:
    if not shutil.which("ffmpeg") and not os.environ.get("CI"):
        pytest.skip("ffmpeg is not installed")
    assert run("sweep_audio.py", "--short", home=tmp_path) == "5 same\n"


@pytest.mark.parametrize("tool", HELP)
def test_help(tool: str, tmp_path: Path) -> None:
    assert "usage" in run(tool, "--help", home=tmp_path)


@pytest.mark.parametrize("backend", BARE)
def test_bare_scripts(backend: str, tmp_path: Path, unpacked: Callable[[str], Path]) -> None:
    module = {"whisper-cpp": "pywhispercpp", "openai-whisper": "whisper"}.get(backend, backend.replace("-", "_"))
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{backend} is not installed")
    (tmp_path / "clip.f32").write_bytes(bytes(4 * 16_000))
    model = unpacked(BARE[backend])
    if BARE[backend] in ("openai", "ggml"):
        (model,) = (path for path in model.iterdir() if path.suffix in (".pt", ".bin"))
    script = f"bench/bare_{backend.replace('-', '_')}.py"
    # Nobody asks it for a run: it imports its library, loads, and ends with its input.
    run(script, str(model), "clip.f32", home=tmp_path)


def test_shape() -> None:
    if not (CHECKOUT / ".git").exists():
        pytest.skip("no checkout")
    done = subprocess.run([sys.executable, TOOLS / "house_shape.py"], capture_output=True, text=True, check=False)
    assert re.match(r"\d+ modules, \d+ lines; tests \d+ lines\n", done.stdout), done.stderr
