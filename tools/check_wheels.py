"""Whether everything installs from wheels: what `pip install` would choose on other systems, as the index answers.

python tools/check_wheels.py [--short]

One row per system, Python and part, with the pins of constraints.txt and without. Exits with 1 where something fails
that tools/install.sh would install there. Needs uv and a network; downloads no packages.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PARTS = ("base", "mlx", "transformers", "faster-whisper", "whisper-cpp", "pocketsphinx", "web")


@dataclass(frozen=True)
class System:
    """A system as uv names it. lacks: the parts that tools/install.sh leaves out there; pins: whether it takes them."""

    name: str
    platform: str
    macos: str = ""
    lacks: tuple[str, ...] = ()
    pins: bool = True


PROMISED = (
    System("macOS 14, Apple silicon", "aarch64-apple-darwin", "14.0"),
    System("Linux x86-64, glibc 2.35", "x86_64-manylinux_2_35"),
)
LESSER = (
    System("macOS 13, Apple silicon", "aarch64-apple-darwin", "13.0", ("mlx",), pins=False),
    System("macOS 14, Intel", "x86_64-apple-darwin", "14.0", ("mlx", "transformers", "whisper-cpp"), pins=False),
    System("Linux x86-64, glibc 2.28", "x86_64-manylinux_2_28", lacks=("mlx",)),
    System("Linux x86-64, glibc 2.34", "x86_64-manylinux_2_34", lacks=("mlx",)),
    System("Linux Arm, glibc 2.35", "aarch64-manylinux_2_35"),
    System("Linux x86-64, musl", "x86_64-unknown-linux-musl", lacks=PARTS),
)


@dataclass(frozen=True)
class Question:
    system: System
    python: str
    part: str
    pins: bool

    def answer(self, uv: str) -> str:
        """Empty where it resolves, else the first line that says why not."""
        extra = [] if self.part == "base" else ["--extra", self.part]
        done = subprocess.run(
            [uv, "pip", "compile", "--quiet", "--no-progress", "--only-binary", ":all:", *extra,
             *(["--constraint", "constraints.txt"] if self.pins else []),
             "--python-platform", self.system.platform, "--python-version", self.python, "pyproject.toml"],
            cwd=CHECKOUT,
            env={**os.environ, **({"MACOSX_DEPLOYMENT_TARGET": self.system.macos} if self.system.macos else {})},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if done.returncode == 0:
            return ""
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        if "error sending request" in done.stderr:
            return f"no network ({lines[-1]})"
        return next((line for line in lines if "no wheels" in line), lines[-1] if lines else "uv ended without a word")


def expected(question: Question) -> bool:
    """Whether tools/install.sh would install this part there, with or without the pins as asked."""
    system = question.system
    return question.part not in system.lacks and (system.pins or not question.pins)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="one resolution only")
    parser.add_argument("--uv", default=shutil.which("uv"), help="the uv to ask with (default: the one on PATH)")
    arguments = parser.parse_args()
    if not arguments.uv:
        parser.error("uv is not on PATH: pip install uv")
    if arguments.short:
        questions = [Question(PROMISED[0], "3.13", "all", pins=True)]
    else:
        systems = [(one, True) for one in PROMISED] + [(one, False) for one in LESSER]
        questions = [
            Question(system, python, part, pins)
            for system, promised in systems
            for python in (PYTHONS if promised else ("3.11", "3.13"))
            for part in (("all", "dev", "web") if promised else PARTS)
            for pins in (True, False)
        ]
    with ThreadPoolExecutor(4) as pool:
        answers = dict(zip(questions, pool.map(lambda one: one.answer(arguments.uv), questions), strict=True))
    broken = 0
    print("| system | Python | part | with the pins | without |\n|---|---|---|---|---|")
    for system, python, part in dict.fromkeys((one.system, one.python, one.part) for one in questions):
        cells = []
        for pins in (True, False):
            question = Question(system, python, part, pins)
            answer = answers.get(question)
            wrong = bool(answer) and expected(question)
            broken += wrong
            cells.append({None: "-", "": "yes"}.get(answer, f"{'FAILS' if wrong else 'no'}: {answer}"))
        print(f"| {system.name} | {python} | {part} | {cells[0]} | {cells[1]} |")
    print(f"\n{len(questions)} resolutions, {broken} of what is installed there fail")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
