"""A darwin for every Python process that finds this folder on its path, as far as our own modules can tell on Linux.

What they import as sys, os, time, fcntl, select and socket says "darwin" and has nothing that only Linux has; /proc and
/dev/shm are not there. Libraries go on as they are: they could not run otherwise. poll is xnu's for everybody.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import io
import runpy
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

OURS = ("speedtest_tui", "backends")
MISSING = {
    "os": (
        "sched_getaffinity", "sched_setaffinity", "posix_fadvise", "posix_fallocate", "memfd_create", "pidfd_open",
        "eventfd", "copy_file_range", "splice", "getrandom", "setns", "unshare", "O_TMPFILE", "O_PATH", "O_DIRECT",
        "O_NOATIME", "getxattr", "setxattr", "listxattr", "removexattr", "fdatasync", "pipe2", "prlimit", "login_tty",
    ),
    "select": ("epoll", "EPOLLIN", "POLLRDHUP"),
    "socket": ("SO_PEERCRED", "SO_BINDTODEVICE", "AF_NETLINK", "AF_PACKET", "SOCK_CLOEXEC", "SOCK_NONBLOCK"),
    "time": ("CLOCK_BOOTTIME", "CLOCK_TAI"),
    "fcntl": ("F_SETPIPE_SZ", "F_GETPIPE_SZ", "F_ADD_SEALS", "F_OFD_SETLK", "F_NOTIFY"),
    "sys": (),
}  # fmt: skip
PRESENT = {"sys": {"platform": "darwin"}, "time": {"CLOCK_UPTIME_RAW": 1}, "fcntl": {"F_FULLFSYNC": 51}}
HIDDEN = ("/proc", "/dev/shm")


class Seen(ModuleType):
    """A module as darwin has it: what is set goes to the real one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__dict__["real"] = importlib.import_module(name)
        self.__dict__.update(PRESENT.get(name, {}))

    def __getattr__(self, name: str) -> Any:
        if name in MISSING[self.__name__]:
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}' (on macOS)")
        return getattr(self.__dict__["real"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["real"], name, value)


class Rewritten(ast.NodeTransformer):
    """`import os` becomes `import seen_os as os`, and `from os import x` likewise."""

    def visit_Import(self, node: ast.Import) -> ast.Import:
        for alias in node.names:
            if alias.name in MISSING:
                alias.asname = alias.asname or alias.name
                alias.name = f"seen_{alias.name}"
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        if node.module in MISSING and not node.level:
            node.module = f"seen_{node.module}"
        return node


class Loader(SourceFileLoader):
    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> CodeType:
        tree = ast.fix_missing_locations(Rewritten().visit(ast.parse(data)))
        return compile(tree, path, "exec", dont_inherit=True, optimize=_optimize)

    def get_code(self, name: str) -> CodeType | None:  # no cached code of the ordinary kind
        path = self.get_filename(name)
        return self.source_to_code(self.get_data(path), path)


class Finder:
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] not in OURS:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


def hiding(real: Any) -> Any:
    """An open that knows no /proc where our own modules call it, by themselves or through pathlib."""

    def open(file: Any, *arguments: Any, **named: Any) -> Any:
        if str(file).startswith(HIDDEN) and callers() & set(OURS):
            raise FileNotFoundError(2, "No such file or directory", str(file))
        return real(file, *arguments, **named)

    return open


def callers() -> set[str]:
    """The packages of the two functions that called, leaving pathlib out."""
    frame, found = sys._getframe(2), set[str]()
    while frame and len(found) < 1:
        name = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if name != "pathlib":
            found.add(name)
        frame = frame.f_back
    return found


runpy.run_path(str(Path(__file__).parents[1] / "xnu_poll/sitecustomize.py"))
for module in MISSING:
    sys.modules[f"seen_{module}"] = Seen(module)
sys.meta_path.insert(0, Finder())
builtins.open = io.open = hiding(io.open)
