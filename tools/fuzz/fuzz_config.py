"""Settings that nobody's program has written: `python tools/fuzz/fuzz_config.py [--rounds N] [--seed S]`.

Each round damages a config.toml that has its owner's comments, reads it, and saves other settings where it is TOML.
No comment may be lost, what is no TOML stays as it is, and what was saved is read back.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

from common import Room, fuzz, mutate

from speedtest_tui.core import settings
from speedtest_tui.core.locations import config_file

FILE = b"""# my own words
theme = "nord"  # as the others have it
ascii = false  # looks better
size = "small"
# three are enough
runs = 3
language = "en"
backends = ["mlx-whisper", "parakeet-mlx"]
device = "USB"
listen = true
silence_stop = 2.5
max_wer = 12.5  # good enough
recent = ["/a.wav", # the first one
  # not mine
  "/b.wav"]  # both of them

[keys]  # mine
race = "f5"

[options.parakeet-mlx]
beam = 4  # wide
"""
VALUES = (b"9" * 5000, b"1e400", b"-1", b"nan", b"inf", b"-inf", b"[" * 5000 + b"]" * 5000, b"0001-01-01",
          b"0000-01-01", b"9999-12-31T23:59:59Z", b"10000-01-01", b'""', b"''", b'"\\u0000\\u001b[2J"', b'"\\ud800"',
          b"[" + b"1," * 20_000 + b"]", b"{}", b"{a = 1}", b"true", b"0x" + b"f" * 500,
          b"", b'"""\na\n"""')  # fmt: skip
COMMENT = re.compile(rb"(?m)# [a-z][a-z ]+$")


def damaged(room: Room) -> bytes:
    """Bytes, or one to three values that do not belong."""
    dice, content = room.dice, FILE
    if dice.random() < 0.4:
        return mutate(content, dice)
    for _ in range(dice.choice((1, 1, 2, 3))):
        values = list(re.finditer(rb"(?m)(?<== )[^#\n]*?(?=  #|$)", content))
        chosen = dice.choice(values)
        content = content[: chosen.start()] + dice.choice(VALUES) + content[chosen.end() :]
    return content


def comments(content: bytes) -> set[bytes]:
    """The owner's comments that are still whole."""
    return set(COMMENT.findall(content))


def round_of(room: Room) -> None:
    """One round."""
    os.environ["SPEEDTEST_CONFIG_DIR"] = str(room.folder / "config")
    path = config_file()
    path.parent.mkdir()
    content = damaged(room)
    path.write_bytes(content)
    reading = settings.load()
    assert path.read_bytes() == content
    assert all(problem.isprintable() for problem in reading.problems), reading.problems
    wanted = replace(reading.settings, runs=room.dice.choice((4, 7)), theme=room.dice.choice(("dracula", "")))
    wanted = wanted.with_recent(Path("/c.wav"))
    try:
        settings.save(wanted)
    except (ValueError, OSError):
        assert path.read_bytes() == content
        return
    assert reading.writable, "what is no TOML was replaced"
    saved = path.read_bytes()
    tomllib.loads(saved.decode())
    again = settings.load().settings
    assert (again.runs, again.theme, again.recent) == (wanted.runs, wanted.theme, wanted.recent)
    if lost := comments(content) - comments(saved):
        raise AssertionError(f"lost {lost}")


if __name__ == "__main__":
    sys.exit(fuzz("settings", round_of, short=150))
