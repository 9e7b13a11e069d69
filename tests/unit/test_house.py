"""What import contracts cannot see: who starts processes, and who knows how a cache is laid out."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]

STARTERS = {"subprocess", "multiprocessing", "pty"}
FORKS, FAMILIES = {"fork", "forkpty", "popen", "system"}, re.compile("exec|spawn|posix_spawn")
"""Of `os`: names, and how families of names begin."""

STARTS_PROCESSES = {
    "speedtest_tui/core/host.py": "asks the system's own programs what the machine is called",
    "backends/programs.py": "runs programs that transcribe, in the child of a race",
    "speedtest_tui/core/clipboard.py": "hands text to the system's own copying program",
}

FOLDERS = {"blobs", "snapshots", "refs"}
PARTS = ("models--", ".incomplete")


def starts(tree: ast.AST) -> bool:
    """Whether a module imports what starts processes, or forks."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) if STARTERS & {name.name.partition(".")[0] for name in names}:
                return True
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in STARTERS:
                return True
            case ast.Attribute(value=ast.Name(id="os"), attr=name) if name in FORKS or FAMILIES.match(name):
                return True
    return False


def names_layout(tree: ast.AST) -> bool:
    """Whether a string of a module, other than its docstrings, names a part of a cache."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return any(
        node.value in FOLDERS or any(part in node.value for part in PARTS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    )


def offenders(room: str, does: Callable[[ast.AST], bool], *packages: str) -> Iterator[str]:
    """Files of some packages, those of `room` left out, that do something."""
    for package in packages:
        for path in sorted((CHECKOUT / package).rglob("*.py")):
            name = path.relative_to(CHECKOUT).as_posix()
            if not name.startswith(room) and does(ast.parse(path.read_text(encoding="utf-8"))):
                yield name


def test_one_room_starts_processes() -> None:
    found = set(offenders("speedtest_tui/core/process/", starts, "speedtest_tui", "backends"))
    assert found == set(STARTS_PROCESSES)


def test_one_room_knows_how_caches_are_laid_out() -> None:
    found = set(offenders("speedtest_tui/core/models/", names_layout, "speedtest_tui"))
    assert found == set()


def test_both_are_seen() -> None:
    assert starts(ast.parse("import os\nos.execv('x', [])")) and starts(ast.parse("from subprocess import run"))
    assert not starts(ast.parse("import os\nos.getpid()"))
    assert names_layout(ast.parse("path / 'blobs'")) and names_layout(ast.parse("f'{etag}.incomplete'"))
    assert not names_layout(ast.parse("'''A docstring about models--org--name.'''"))


def test_the_page_about_the_house_names_what_is_there() -> None:
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    bases = (CHECKOUT, CHECKOUT / "speedtest_tui", CHECKOUT / "speedtest_tui" / "core")
    names = set(re.findall(r"`([\w/.]+/[\w.]+)`", page))
    there = {name for name in names for base in bases for end in ("", ".py") if (base / f"{name}{end}").exists()}
    assert len(there) > 50
    assert names - there == set()
