"""The shape of the house, counted from the files that git knows: its size, circles of packages, small modules.

Usage: python tools/house_shape.py [FOLDER]. Exits with 1 where two packages import each other.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOTS = ("speedtest_tui", "backends")
SMALL_LINES = 100
LONG_LINES = 450


@dataclass
class Module:
    """A file of the source: its dotted name, its lines, and the modules of the house that it imports."""

    name: str
    path: Path
    lines: int = 0
    imports: set[str] = field(default_factory=set)

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def package(self) -> str:
        """The room that it belongs to; a package's own file is that room."""
        return self.name if self.is_package else self.name.rpartition(".")[0]


def tracked(folder: Path, *below: str) -> list[Path]:
    """Python files that git knows, relative to `folder`. Raises CalledProcessError where it is no checkout."""
    done = subprocess.run(["git", "ls-files", *below], cwd=folder, capture_output=True, text=True, check=True)
    return [Path(line) for line in done.stdout.splitlines() if line.endswith(".py") and (folder / line).is_file()]


def read(folder: Path) -> dict[str, Module]:
    """All modules of the house by name, with what they import; imports inside functions count."""
    modules = {}
    for path in tracked(folder, *ROOTS):
        name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        modules[name] = Module(name, path)
    for module in modules.values():
        text = (folder / module.path).read_text(encoding="utf-8")
        module.lines = len(text.splitlines())
        module.imports = {name for name in imported(ast.parse(text)) if name in modules} - {module.name}
    return modules


def imported(tree: ast.AST) -> Iterator[str]:
    """Names that import statements mention; `from a import b` may mean the module a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def circles(modules: dict[str, Module]) -> list[tuple[str, str]]:
    """Pairs of packages that import each other. Naming the package that one lies in is no import of its own."""
    needs = defaultdict(set)
    for module in modules.values():
        for name in module.imports:
            mine, other = module.package, modules[name].package
            if mine != other and not (mine.startswith(f"{other}.") and modules[name].is_package):
                needs[mine].add(other)
    return sorted((a, b) for a in needs for b in needs[a] if a < b and a in needs.get(b, ()))


def lonely(modules: dict[str, Module]) -> list[tuple[Module, str]]:
    """Small modules that one other module imports, and that module."""
    importers = defaultdict(list)
    for module in modules.values():
        for name in module.imports:
            importers[name].append(module.name)
    return [
        (module, importers[module.name][0])
        for module in modules.values()
        if module.lines < SMALL_LINES and len(importers[module.name]) == 1 and module.path.stem not in OWN_NAMES
    ]


OWN_NAMES = ("__init__", "__main__")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parents[1], help="a checkout")
    folder = parser.parse_args().folder
    modules = read(folder)
    counted = [module for module in modules.values() if not module.is_package]
    tests = sum(len((folder / path).read_text(encoding="utf-8").splitlines()) for path in tracked(folder, "tests"))
    pairs = circles(modules)
    print(f"{len(counted)} modules, {sum(module.lines for module in modules.values())} lines; tests {tests} lines")
    small = sorted((module.lines, module.name, importer) for module, importer in lonely(modules))
    print(f"{len(small)} modules under {SMALL_LINES} lines with one importer:")
    for lines, name, importer in small:
        print(f"  {lines:3} {name} <- {importer}")
    long = sorted((module.lines, module.name) for module in counted if module.lines > LONG_LINES)
    print(f"{len(long)} modules over {LONG_LINES} lines", *(f"{name} ({lines})" for lines, name in long))
    print(f"{len(pairs)} pairs of packages that import each other", *(f"{a} <> {b}" for a, b in pairs), sep="\n  ")
    return 1 if pairs else 0


if __name__ == "__main__":
    sys.exit(main())
