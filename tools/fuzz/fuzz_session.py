"""Sessions and indexes that are damaged: `python tools/fuzz/fuzz_session.py [--rounds N] [--seed S]`.

Each round keeps a good session and two to four odd ones, sometimes with an odd index; lists, shows, compares and
exports all of them, as commands and as the panes of the screen do. The good one must stay listed.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import json
import os
import sys
from pathlib import Path

from common import Room, fuzz, mutate, mutate_json

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from documents import build

from speedtest_tui.cli.main import run
from speedtest_tui.core import codec
from speedtest_tui.core.locations import sessions_folder, sessions_index
from speedtest_tui.core.sessions import index, store
from speedtest_tui.core.sessions.compare import compare
from speedtest_tui.core.sessions.store import DamagedSession, Session
from speedtest_tui.ui.widgets import session_panes

GOOD = "20260101T000000"
WIDTHS = (20, 80)
DATES = ("0000-01-01T00:00:00+00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
         "10000-01-01T00:00:00+00:00", "2026-11-20T12:30:15", "2026-11-20", "")  # fmt: skip
LONG_NUMBER, DEEP = b"9" * 5000, b"[" * 5000 + b"]" * 5000


@functools.cache
def good() -> bytes:
    return codec.document(build()).encode()


def damaged(room: Room) -> bytes:
    """A session.json with something wrong."""
    dice, content = room.dice, good()
    match dice.randrange(6):
        case 0:
            return mutate(content, dice)
        case 1:
            return content.replace(b'"started": "2026', b'"started": "' + dice.choice(DATES).encode() + b'", "x": "', 1)
        case 2:
            numbers = [at for at in range(1, len(content)) if content[at : at + 1].isdigit()]
            at = dice.choice(numbers)
            return content[:at] + dice.choice((LONG_NUMBER, DEEP, b"1e400", b"-1", b"NaN")) + content[at + 1 :]
    return mutate_json(content, dice)


def said(*arguments: str) -> str:
    """What a command prints; it ends with a status of ours and nothing raw or unexpected on the way."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(["sessions", *arguments])
    assert code in (0, 1, 2), code
    text = err.getvalue() if "export" in arguments or "--json" in arguments else out.getvalue() + err.getvalue()
    assert "Traceback" not in text, text
    assert all(letter.isprintable() or letter == "\n" for letter in text), repr(text[:2000])
    out.getvalue().encode()
    return out.getvalue()


def panes(sessions: list[Session | DamagedSession]) -> None:
    """Everything that the screen makes of them."""
    for found in index.summaries():
        session_panes.line_of(found)
    for session in sessions:
        for width in WIDTHS:
            if isinstance(session, DamagedSession):
                session_panes.damage(session, width)
                continue
            for whole in (False, True):
                session_panes.details(session_panes.light(session), width, whole=whole)
    for session, other in itertools.product([each for each in sessions if isinstance(each, Session)], repeat=2):
        compared = compare(session.document, other.document)
        for width in WIDTHS:
            session_panes.comparison(compared, session, width)


def round_of(room: Room) -> None:
    """One round."""
    root = sessions_folder()
    names = [GOOD, *(f"2026020{number}T000000" for number in range(1, room.dice.randrange(3, 6)))]
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "session.json").write_bytes(good() if name == GOOD else damaged(room))
        os.utime(root / name / "session.json", (1.7e9, 1.7e9))
    said("list")
    if room.dice.random() < 0.3:
        rows = sessions_index().read_bytes() if sessions_index().is_file() else index.HEAD + b"0\t1\t2\n"
        sessions_index().write_bytes(mutate(rows, room.dice))
    assert GOOD in {one["name"] for one in json.loads(said("list", "--json"))["sessions"]}
    for name in ("last", room.dice.choice(names[1:])):
        for action in (("show",), ("compare",), ("export",), ("show", "--json")):
            said(action[0], name, *action[1:])
        said("export", name, "--csv", "-")
        said("export", name, "--json", "-")
        said("compare", name, GOOD, "--json")
    panes([store.read(root / name) for name in names])
    assert (root / GOOD / "session.json").read_bytes() == good()


if __name__ == "__main__":
    sys.exit(fuzz("sessions", round_of, short=30))
