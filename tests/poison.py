"""Texts that would steer a terminal, in every field of any dataclass, found by introspection."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import os
import pty
import re
import subprocess
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from documents import as_json, build, clip, failed_row, good_row

from speedtest_tui.core.codec import Damaged, typed
from speedtest_tui.core.format import neutral
from speedtest_tui.core.sessions.document import Document

PAYLOAD = (
    "qz\x1b[38;5;201mA\x1b]52;c;aGk=\x07\x1b]8;;http://a\x1b\\\x9b2J\u202eB\u2066\u200b\u200dC\x08\x00\rD\x7f\x85\ufeff\U000e0041"
    "\u2028\ue000\U0001fffe\ufff0\u2065[@click=app.poisoned]E[/] [red]F[/]\udcff\ud83dzq"
)  # fmt: skip
"""What would write the clipboard, link, colour, clear, turn, hide, go back and break lines, and markup of Textual's."""

ARGUMENT = PAYLOAD.replace("\x00", "").replace("\ud83d", "")
"""The same as an argument or a variable: no NUL, bytes that are no UTF-8 only."""

NAME = ARGUMENT.replace("/", "")
"""The same as a file's name."""

OURS = re.compile(
    r"\x1b\[(?:\?25[lh]|[0-9]*[AKG]|2K|(?:0|1|2|3|3[0-9]|9[0-7])(?:;(?:1|2|3[0-9]|9[0-7]))*m)|\r(?=\n|\x1b\[)"
)
"""What Rich sends itself: sixteen colours, its cursor, lines drawn again."""


@cache
def hints(kind: type[Any]) -> dict[str, Any]:
    """The types of a dataclass's fields, those included that its module imports for annotations only."""
    found: dict[str, Any] = {}
    for one in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(one):
            continue
        module = sys.modules[one.__module__]
        known = dict(vars(module))
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                for line in node.body:
                    for name in line.names if isinstance(line, ast.ImportFrom) else ():
                        # What is defined for annotations only there, too, are arrays.
                        known[name.name] = getattr(importlib.import_module(str(line.module)), name.name, np.ndarray)
        found |= {name: eval(text, known) for name, text in inspect.get_annotations(one).items()}
    return found


def poisoned(kind: Any, choice: int = 0, text: str = PAYLOAD, within: tuple[Any, ...] = ()) -> Any:
    """A value of any type of the program's with the payload in each text; `choice` picks among alternatives."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)

    def inner(other: Any) -> Any:
        return poisoned(other, choice, text, within)

    if kind in (str, Path):
        return text if kind is str else Path("/nowhere", text.replace("\x00", "").replace("\ud83d", ""))
    if kind in (int, float, bool):
        return kind(choice + 1)
    if origin is typing.Literal:
        return arguments[choice % len(arguments)]
    if origin in (types.UnionType, typing.Union):
        others = [one for one in arguments if one is not type(None) and one not in within]
        return inner(others[choice % len(others)]) if others else None
    if origin is tuple:
        return (inner(arguments[0]),) if arguments[-1] is Ellipsis else tuple(map(inner, arguments))
    if isinstance(origin, type) and issubclass(origin, (Sequence, frozenset)):
        return (inner(arguments[0]),)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {inner(arguments[0]): inner(arguments[1])}
    if kind is Document:
        return session(text)
    if dataclasses.is_dataclass(kind):
        known, within = hints(kind), (*within, kind)  # type: ignore[arg-type]
        fields = {
            field.name: poisoned(known[field.name], choice, text, within)
            for field in dataclasses.fields(kind)
            if field.init
        }
        return kind(**fields)  # type: ignore[operator]
    return np.zeros(16_000, np.float32) if kind is np.ndarray or origin is np.ndarray else None


def texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a JSON document there are texts."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts(inner, (*path, key))


def poisoned_json(kind: Any, facts: dict[str, Any], text: str = PAYLOAD) -> dict[str, Any]:
    """The payload before every text of a JSON document that may be any text in its type."""
    for path in list(texts(facts)):
        place: Any = facts
        for key in path[:-1]:
            place = place[key]
        before, place[path[-1]] = place[path[-1]], f"{text} {place[path[-1]]}"
        try:
            typed(kind, facts)
        except Damaged:
            place[path[-1]] = before
    return facts


def session(text: str = PAYLOAD) -> Document:
    """A session with the payload in every text that may be any."""
    rows = good_row("a", (0.2, 0.25, 0.3)), good_row("b", (0.1, 0.1, 0.12)), failed_row("c")
    found = build(*(dataclasses.replace(row, warnings=("odd",)) for row in rows), of=clip(warnings=("quiet",)))
    return typed(Document, poisoned_json(Document, as_json(found), text))


def raw(output: str) -> list[str]:
    """What of a terminal's output, other than what Rich sends itself, steers it."""
    left = OURS.sub("", output.replace("\r\n", "\n"))
    return sorted(set(left) - set(neutral(left, ""))) + re.findall(r"\x1b.{9}", left)


def on_a_terminal(folder: str, *arguments: str, **environment: str) -> str:
    """What the command writes to a pseudo-terminal, both streams."""
    parent, child = pty.openpty()
    command = [str(Path(sys.executable).with_name("speedtest-tui")), *arguments]
    everything = {**os.environ, **environment, "COLUMNS": "100"}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=child, stderr=child, env=everything, cwd=folder
    ) as process:
        os.close(child)
        output = b""
        try:
            while data := os.read(parent, 65536):
                output += data
        except OSError:
            pass  # so a terminal ends on Linux
        process.wait()
    os.close(parent)
    return output.decode("utf-8", "surrogateescape")
