"""Which Python an installation takes and which parts it leaves out: the scripts of tools/ between stand-ins for the
system's programs, and for Python and pip."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
APPLE = {"uname": "Darwin", "sysctl": "1", "sw_vers": "15.1"}
INTEL = {"uname": "Darwin", "sysctl": "", "sw_vers": "14.5"}
LINUX = {"uname": "Linux", "getconf": "glibc 2.39"}

PYTHON = """#!{real} -S
import json, os, pathlib, platform, sys
kind = {kind!r}
class Version(tuple):
    major, minor = property(lambda self: self[0]), property(lambda self: self[1])
sys.version_info = Version(kind["version"])
sys.hexversion = kind["version"][1]
sys.executable = sys.argv[0]
sys.implementation.name = kind.get("implementation", "cpython")
platform.machine = lambda: kind.get("machine", "arm64")
if kind.get("bare"):
    sys.modules["venv"] = None
match sys.argv[1:]:
    case ["-", *rest]:
        sys.argv = ["-", *rest]
        exec(sys.stdin.read())
    case ["-c", code]:
        exec(code)
    case ["-m", "venv", folder]:
        inside = pathlib.Path(folder, "bin", "python")
        inside.parent.mkdir(parents=True)
        inside.write_bytes(pathlib.Path(__file__).read_bytes())
        inside.chmod(0o755)
    case ["-m", "pip", *rest]:
        with open("pip.json", "a") as log:
            log.write(json.dumps(rest) + "\\n")
        sys.exit(any(part in rest[-1] for part in os.environ.get("NO_WHEEL", "").split()))
"""


class Machine:
    """A checkout's tools, and a PATH on which nothing lies but stand-ins and what a shell script needs."""

    def __init__(self, folder: Path, system: dict[str, str]) -> None:
        self.folder, self.path = folder, folder / "path"
        shutil.copytree(
            CHECKOUT / "tools", folder / "tools", ignore=lambda _, names: [n for n in names if "." not in n]
        )
        self.path.mkdir()
        for name in ("sh", "cat", "rm", "sed", "touch"):
            found = shutil.which(name)
            assert found
            (self.path / name).symlink_to(found)
        for name, says in system.items():
            self._program(name, f'#!/bin/sh\n[ -z "{says}" ] && exit 1\necho "{says}"\n')

    def python(self, name: str, version: tuple[int, int], **kind: object) -> Machine:
        self._program(name, PYTHON.format(real=sys.executable, kind={"version": (*version, 1), **kind}))
        return self

    def _program(self, name: str, text: str) -> None:
        (self.path / name).write_text(text)
        (self.path / name).chmod(0o755)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env={"PATH": str(self.path), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def chosen(self, **environment: str) -> str:
        """The name of the Python that is taken, or what is said instead."""
        done = self.run("sh", "tools/python.sh", **environment)
        assert bool(done.stdout) == (done.returncode == 0) and bool(done.stderr) == (done.returncode != 0), done
        return Path(done.stdout.strip()).name or done.stderr

    def installed(self, extras: str = "all", **environment: str) -> tuple[str, list[list[str]]]:
        """What was said, and the arguments of each call of pip."""
        done = self.run("sh", "tools/install.sh", extras, "stamp", **environment)
        assert done.returncode == 0 and not done.stderr, done
        log = self.folder / "pip.json"
        calls = [json.loads(line) for line in log.read_text().splitlines()]
        log.unlink()
        assert all("--only-binary" in call for call in calls)
        return done.stdout, calls


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        ({"python3": 14, "python3.11": 11, "python3.13": 13, "python3.14": 14}, "python3.13"),
        ({"python3": 14, "python3.12": 12, "python3.11": 11}, "python3.11"),
        ({"python3": 13, "python3.11": 11}, "python3"),  # 3.13 by another name
        ({"python3": 14, "python3.12": 12}, "python3.12"),
        ({"python3": 14}, "python3"),
        ({"python3": 9, "python3.14": 14}, "python3.14"),
        ({"python3": 15, "python3.12": 12}, "python3.12"),
    ],
)  # fmt: skip
def test_order(there: dict[str, int], taken: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path, APPLE)
    for name, minor in there.items():
        machine.python(name, (3, minor))
    assert machine.chosen() == taken


@pytest.mark.parametrize(
    ("version", "kind", "said"),
    [
        ((3, 15), {}, "python3 is newer than Python 3.14"),
        ((4, 0), {}, "python3 is newer than Python 3.14"),
        ((3, 9), {}, "python3 is older than Python 3.11"),
        ((2, 7), {}, "python3 is older than Python 3.11"),
        ((3, 13), {"machine": "x86_64"}, "python3 runs translated"),
        ((3, 13), {"implementation": "pypy"}, "python3 is not the usual CPython"),
        ((3, 12), {"bare": True}, "python3.12-venv"),
    ],
)
def test_refused(version: tuple[int, int], kind: dict[str, object], said: str, tmp_path: Path) -> None:
    mac = Machine(tmp_path / "mac", APPLE).python("python3", version, **kind).chosen()
    assert mac.startswith("speedtest-tui: ") and mac.count("\n") == 1 and said in mac
    assert "brew install python@3.13" in mac or "bare" in kind
    linux = Machine(tmp_path / "linux", LINUX).python("python3", version, **kind).chosen()
    assert "brew" not in linux and (said in linux or linux == "python3\n" or kind.get("machine"))


def test_bare_is_only_said_where_nothing_else_will_do(tmp_path: Path) -> None:
    machine = Machine(tmp_path, LINUX).python("python3.13", (3, 13), bare=True).python("python3", (3, 9))
    assert "sudo apt install python3.13-venv" in machine.chosen()
    assert machine.python("python3.14", (3, 14)).chosen() == "python3.14"
    assert "no python3 on PATH: install Python 3.13" in Machine(tmp_path / "none", LINUX).chosen()


def test_named(tmp_path: Path) -> None:
    """PYTHON wins over what is preferred, also over the newest that is known; what cannot work is refused."""
    machine = Machine(tmp_path, APPLE)
    for minor in (9, 11, 13, 14, 15):
        machine.python(f"python3.{minor}", (3, minor))
    assert machine.chosen(PYTHON="python3.14") == "python3.14"
    assert machine.chosen(PYTHON="python3.15") == "python3.15"
    assert machine.chosen(PYTHON=str(machine.path / "python3.11")) == "python3.11"
    assert "PYTHON=python3.9: python3.9 is older" in machine.chosen(PYTHON="python3.9")
    assert "PYTHON=nothing here: it does not start" in machine.chosen(PYTHON="nothing here")


NEWER = "faster-whisper,whisper-cpp"
ALL = f"mlx,transformers,{NEWER},pocketsphinx"
ONLY = "pocketsphinx is left out: .* Python 3.11 and 3.13 only, this is 3.1"


@pytest.mark.parametrize(
    ("system", "minor", "parts", "left_out"),
    [
        (APPLE, 13, ALL, []),
        (APPLE | {"sw_vers": "26.1"}, 11, ALL, []),
        (APPLE | {"sw_vers": "14.0"}, 14, f"mlx,transformers,{NEWER}", [ONLY + "4; .*PYTHON=python3.13 make run"]),
        (
            APPLE | {"sw_vers": "13.7.1"},
            13,
            f"transformers,{NEWER},pocketsphinx unpinned",
            ["mlx .* macOS 14 .* macOS 13.7.1"],
        ),
        (
            APPLE | {"sw_vers": "13"},
            12,
            f"transformers,{NEWER} unpinned",
            ["mlx is left out: it needs macOS 14", ONLY + "2"],
        ),
        (
            INTEL,
            11,
            "faster-whisper,pocketsphinx unpinned",
            ["mlx .* silicon", "whisper-cpp .* Intel", "transformers .* Intel"],
        ),
        (LINUX, 11, ALL, []),
        (LINUX | {"getconf": "glibc 2.35"}, 13, ALL, []),
        (
            LINUX | {"getconf": "glibc 2.34"},
            13,
            f"transformers,{NEWER},pocketsphinx",
            ["mlx .* glibc 2.35 .* this is 2.34"],
        ),
        (LINUX | {"getconf": "glibc 2.28"}, 12, f"transformers,{NEWER}", ["mlx .* this is 2.28", ONLY + "2"]),
        (LINUX | {"getconf": "glibc 2.39.9000"}, 11, ALL, []),
        (LINUX | {"getconf": ""}, 11, ALL, []),
        (LINUX | {"getconf": "undefined"}, 11, ALL, []),
    ],
)
def test_parts(system: dict[str, str], minor: int, parts: str, left_out: list[str], tmp_path: Path) -> None:
    machine = Machine(tmp_path, system).python("python3", (3, minor))
    said, calls = machine.installed("all,dev")
    names, _, unpinned = parts.partition(" ")
    assert [call[-1] for call in calls] == [f".[dev,{names}]"]
    assert ("constraints.txt" in calls[0]) == (not unpinned) == ("others are installed" not in said)
    assert ("not glibc" in said) == (system.get("getconf") in ("", "undefined"))
    lines = [line for line in said.splitlines() if "left out" in line]
    assert len(lines) == len(left_out) and all(map(re.search, left_out, lines)), said
    assert (tmp_path / "stamp").exists()


def test_a_part_without_a_wheel_never_stops_the_rest(tmp_path: Path) -> None:
    """On systems that nobody thought of. Without a stamp, so that it is tried again."""
    machine = Machine(tmp_path, LINUX).python("python3", (3, 13))
    said, calls = machine.installed(NO_WHEEL="mlx")
    assert [call[-1] for call in calls] == [f".[{ALL}]", ".", *(f".[{part}]" for part in ALL.split(","))]
    assert "mlx is left out: it could not be installed" in said and said.count("left out") == 1
    assert not (tmp_path / "stamp").exists()
    assert machine.installed()[1][-1][-1] == f".[{ALL}]" and (tmp_path / "stamp").exists()
    done = machine.run("sh", "tools/install.sh", "all", "stamp", NO_WHEEL=". mlx")  # as without a network
    assert done.returncode == 1 and not (tmp_path / "stamp").exists()


def test_named_python_makes_the_environment_anew(tmp_path: Path) -> None:
    machine = Machine(tmp_path, LINUX)
    for minor in (11, 13):
        machine.python(f"python3.{minor}", (3, minor))
    made = "making .venv with"
    assert f"{made} {machine.path}/python3.13" in machine.installed()[0]
    assert made not in machine.installed()[0]
    assert made not in machine.installed(PYTHON="python3.13")[0]
    assert f"{made} {machine.path}/python3.11" in machine.installed(PYTHON="python3.11")[0]
    assert made not in machine.installed()[0]  # once made, it stays


def test_ci_run_reads_refusals_for_what_they_are(tmp_path: Path) -> None:
    """Only what a package cures asks for that package."""
    script = (CHECKOUT / ".ci" / "run").read_text()
    asked = script[script.index("refusal=") : script.index('if [[ "$(uname -s)" == Linux')]
    asked = f'missing=()\n{asked}\necho "${{missing[@]:-}}"'
    bash = shutil.which("bash")
    assert bash
    for number, (kind, expected) in enumerate(
        [({}, ""), ({"bare": True}, "python3.13-venv"), ({"machine": "x86_64"}, ""), (None, "python3 python3-venv")]
    ):
        machine = Machine(tmp_path / str(number), APPLE)
        if kind is not None:
            machine.python("python3", (3, 13), **kind)
        assert machine.run(bash, "-c", asked).stdout.strip() == expected
    assert os.access(CHECKOUT / ".ci" / "run", os.X_OK)
