"""Nothing raw from outside reaches a terminal: what others wrote is in every text of every surface."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import as_json, build, clip, failed_row, good_row

from speedtest_tui.core.codec import Damaged, encode, typed
from speedtest_tui.core.format import neutral
from speedtest_tui.core.sessions import export, store
from speedtest_tui.core.sessions.document import Document

PAYLOAD = "x\x1b[31mA\x1b]52;c;aGk=\x07\x1b]8;;http://a\x1b\\\x9b2J\u202eB\u200b\x08\r\x7f\u2066\ufeffz"
RAW = ("\x1b]", "\x1b[31mA", "\x9b", "\u202e", "\u200b", "\x08", "\x7f", "\u2066", "\ufeff", "\x07")
"""What no output may hold; what Rich and Textual send themselves are colours and moves, other than these."""


SPACES = " ", "\n", "\xa0", "\u3000", "\u200b", "\ufeff", " \t ", "\x00"


def texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a JSON document there are texts."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from texts(inner, (*path, place))


def poisoned(facts: dict[str, Any], payload: str = PAYLOAD) -> dict[str, Any]:
    """The payload in every text of a session that may be any text."""
    for path in list(texts(facts)):
        place: Any = facts
        for key in path[:-1]:
            place = place[key]
        before, place[path[-1]] = place[path[-1]], f"{payload} {place[path[-1]]}"
        try:
            typed(Document, facts)
        except Damaged:
            place[path[-1]] = before
    return facts


def session(payload: str = PAYLOAD) -> Document:
    rows = good_row("a", (0.2, 0.25, 0.3)), good_row("b", (0.1, 0.1, 0.12)), failed_row("c")
    rows = tuple(dataclasses.replace(row, warnings=("odd",)) for row in rows)  # type: ignore[assignment]
    return typed(Document, poisoned(as_json(build(*rows, of=clip(warnings=("quiet",)))), payload))


def assert_clean(output: str) -> None:
    assert not [raw for raw in RAW if raw in output]


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What the command writes to a pseudo-terminal, both streams."""
    parent, child = pty.openpty()
    command = [str(Path(sys.executable).with_name("speedtest-tui")), *arguments]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=child,
        stderr=child,
        env={**os.environ, **environment, "COLUMNS": "100"},
    ) as process:
        os.close(child)
        output = b""
        while True:
            try:
                data = os.read(parent, 65536)
            except OSError:
                break
            if not data:
                break
            output += data
        process.wait()
    os.close(parent)
    return output.decode("utf-8", "surrogateescape").replace("\r\n", "\n")


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    folders = {"HOME": str(tmp_path), "SPEEDTEST_DATA_DIR": str(tmp_path / "data"), "HF_HUB_OFFLINE": "1"}
    return {
        **folders,
        "SPEEDTEST_MODELS_DIR": str(tmp_path / "models"),
        "SPEEDTEST_CONFIG_DIR": str(tmp_path / "config"),
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("sessions", "list"), ("sessions", "show", "last"), ("sessions", "compare", "last"),
        ("sessions", "show", "last", "--json"), ("sessions", "list", "--json"),
        ("sessions", "export", "last", "--csv", "-"), ("sessions", "export", "last", "--markdown", "-"),
        ("sessions", "export", "last", "--json", "-"), ("sessions", "show", PAYLOAD.replace("\x00", "")),
    ],
    ids=" ".join,
)  # fmt: skip
def test_sessions_of_strangers(
    home: dict[str, str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SPEEDTEST_DATA_DIR", home["SPEEDTEST_DATA_DIR"])
    for _ in range(2):
        store.save(session(), clip())
    damaged = Path(home["SPEEDTEST_DATA_DIR"]) / "sessions" / f"2026{PAYLOAD.replace('/', '')}"
    damaged.mkdir()
    (damaged / "session.json").write_bytes(encode({"schema": PAYLOAD}))
    assert_clean(on_a_terminal(*arguments, **home))


@pytest.mark.parametrize(
    "arguments",
    [
        (PAYLOAD,), (f"--{PAYLOAD}",), ("run", PAYLOAD), ("run", "--demo", "--backends", PAYLOAD),
        ("run", "--demo", "--size", PAYLOAD), ("run", "--demo", "--option", PAYLOAD),
        ("run", "--demo", "--runs", PAYLOAD),
        ("run", "--demo", "--reference", f"@{PAYLOAD}"), ("run", "--demo", "--json", f"/nowhere/{PAYLOAD}"),
        ("check-models", "--backends", PAYLOAD), ("check-models", "--size", PAYLOAD), ("download", "--size", PAYLOAD),
        ("download", "--to", PAYLOAD), ("repair", "--undo", PAYLOAD), ("repair", "--copy", PAYLOAD),
        ("convert", PAYLOAD, "out"), ("convert", "a.nemo", PAYLOAD), ("record", f"/nowhere/{PAYLOAD}.wav"),
        ("record", PAYLOAD), ("--audio", PAYLOAD), ("serve", "--port", PAYLOAD), ("doctor", PAYLOAD),
    ],
    ids=lambda arguments: ascii(arguments)[:40],
)  # fmt: skip
def test_arguments_that_are_echoed(home: dict[str, str], arguments: tuple[str, ...]) -> None:
    assert_clean(on_a_terminal(*arguments, **home))


def test_files_in_caches(home: dict[str, str]) -> None:
    hub = Path(home["HOME"]) / ".cache" / "huggingface" / "hub"
    name = PAYLOAD.replace("/", "")
    repository = hub / "models--org--name"
    for folder in (repository / "refs", repository / "blobs", repository / "snapshots" / name, hub / name):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(PAYLOAD)
    (repository / "refs" / name).write_text("x")
    (repository / "snapshots" / name / name).write_text("x")
    (repository / "blobs" / f"{name}.incomplete").write_text("x")
    for command in (("check-models", "--all"), ("repair", "--all"), ("repair", "--all", "--json"), ("doctor",)):
        assert_clean(on_a_terminal(*command, **home))


def test_files_for_people_and_their_programs() -> None:
    document = session()
    for text in (export.to_csv(document), export.to_markdown(document)):
        assert neutral(text, "?").replace("?\n", "\r\n") == text  # what ends a line of CSV is two characters


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", *(f"{space}=" for space in SPACES), *"＝＋－＠﹦﹢﹣﹫"], ids=ascii
)
def test_no_cell_is_a_formula(start: str) -> None:
    formula = f"{start}cmd|' /C calc'!A0"
    found = export.to_csv(build(good_row("a", (0.2, 0.3), formula), failed_row("b", formula)))
    cells = [cell for line in csv.reader(io.StringIO(found, newline="")) for cell in line if "calc" in cell]
    assert len(cells) == 2 and {cell[0] for cell in cells} == {"'"}


MARKUP = "| `a` <b onclick=x>c</b> **d** _e_ ~~f~~ [g](http://h) ![i](j) &lt; $k$ www.l.org https://m \\| n\n| o |"


@pytest.mark.parametrize("start", ["", "# ", "- ", "+ ", "1. ", "12) ", "> ", "--- ", "=== ", "\n\n", "    "])
def test_no_cell_is_markup(start: str) -> None:
    """The text stays the text in every place of the Markdown that is somebody's."""
    document = session(f"{start}{MARKUP}")
    plain = re.sub(r"\\([!-/:-@\[-`{-~])", "\0", export.to_markdown(document))
    assert not re.search(r"[`<~$&\[]|://|www\.|^ *(?:\d+[.)]|[#+=>-]) *[^\s\w]", re.sub("(?m)^- ", "", plain), re.M)
    lines = [line for line in plain.splitlines() if line.startswith("|")]
    assert len(lines) == 5 and {line.count("|") for line in lines} == {11}
