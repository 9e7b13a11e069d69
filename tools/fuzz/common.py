"""What the fuzzers share: mutants of bytes and of JSON, and rounds that are watched from outside.

A fuzzer is `round_of(room)`: it makes something odd below `room.folder` from `room.dice`, gives it to the program, and
raises where that does what it should not. `fuzz` runs it in children and fails where a round raises, ends its process,
computes for longer than HANG_S, needs more than MEMORY, or changes a byte, a mode or a name in `room.home`.
Each prints its seed: `--seed S --rounds 1` repeats a round.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import math
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HANG_S = 5.0
"""Processor time of one round, its children's included. KILL_S is where one that only waits is ended, of wall time."""
KILL_S = 30.0
MEMORY = 300_000_000
"""Bytes that a round may add to its process, or that a child of it may have beyond what the fuzzer began with."""
BATCH = 250
"""Rounds of one process: the largest memory of a process never shrinks."""
MOST_FAULTS = 10
DEEP = "@deep@"
SPECIAL = (0, 1, -1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
TOKENS = (b"", b"\0", b"\x1b]0;x\x07", b"\x9b31m", b"\xe2\x80\xae", b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800",
          b"../../../etc", b"/", b"~", b"\n", b"\r", b"NaN", b"1e999", b"-0", b"9" * 500, b"null",
          b"[" * 3000, b"{", b"}", b'"', b"'", b"\\", b"A" * 70_000, b"%s%n", b"[red]")  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, *SPECIAL, -(2**63) - 1, 10**400, 1e308, math.inf, math.nan, -0.0, "", " ", "\0", "\x1b[2J",
    "\u202e", "\ud800", "..", ".", "/", "../../../etc/passwd", "~", "a" * 70_000, "1", "0000-00-00",
    "9999-12-31T23:59:59+00:00", [], {}, [[]], {"": ""}, DEEP,
)  # fmt: skip


@dataclass(frozen=True)
class Room:
    """folder: the round's own, empty; home: of a person, with files in it that nobody may change; dice: of its seed."""

    folder: Path
    home: Path
    dice: random.Random


Round = Callable[[Room], object]


def mutate(data: bytes, dice: random.Random) -> bytes:
    """The same bytes with one to five things done to them that bad disks, transfers and people do."""
    made = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 5))):
        at = dice.randrange(len(made) + 1)
        end = min(len(made), at + dice.choice((1, 2, 4, 8, 64, 1024)))
        match dice.randrange(9):
            case 0 if made:
                made[at % len(made)] ^= 1 << dice.randrange(8)
            case 1:
                made[at:end] = dice.randbytes(end - at)
            case 2:
                del made[at:end]
            case 3:
                del made[at:]
            case 4:
                made[at:at] = made[at:end] * dice.choice((1, 2, 50))
            case 5:
                size = dice.choice((1, 2, 4, 8))
                number = dice.choice(SPECIAL) % (1 << 8 * size)
                made[at : at + size] = number.to_bytes(size, dice.choice(("little", "big")))
            case 6:
                made[at : dice.choice((at, end))] = dice.choice(TOKENS)
            case 7:
                made[at:end] = bytes(end - at)
            case _:
                other = dice.randrange(len(made) + 1)
                made[at:end] = made[other : other + end - at]
    return bytes(made)


def mutate_json(data: bytes, dice: random.Random) -> bytes:
    """JSON of the same shape with one to three values or names that do not belong; sometimes just `mutate`."""
    try:
        value = json.loads(data)
    except ValueError:
        return mutate(data, dice)
    if dice.random() < 0.25:
        return mutate(data, dice)
    holder = [value]
    for _ in range(dice.choice((1, 1, 2, 3))):
        _change(holder, dice)
    deep = dice.choice((50, 2_000, 100_000))
    text = json.dumps(holder[0]).replace(json.dumps(DEEP), "[" * deep + "]" * deep)
    return text.encode("utf-8", "surrogatepass")


def _change(holder: Any, dice: random.Random) -> None:
    """Go down somewhere and change what is there."""
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            return
        key = dice.choice(keys)
        inner = holder[key]
        if isinstance(inner, dict | list) and inner and dice.random() < 0.8:
            holder = inner
            continue
        match dice.randrange(5):
            case 0 if isinstance(holder, dict):
                del holder[key]
            case 1 if isinstance(holder, dict):
                odd = dice.choice([one for one in ODD if isinstance(one, str)])
                holder[odd if odd != DEEP else "deep"] = inner
            case 2 if isinstance(holder, list):
                holder.extend([inner] * dice.choice((1, 2, 1000)))
            case 3 if isinstance(inner, str):
                holder[key] = mutate(inner.encode("utf-8", "replace"), dice).decode("utf-8", "surrogateescape")
            case _:
                holder[key] = copy.deepcopy(dice.choice(ODD))
        return


def snapshot(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """Every name below a folder, with its mode and content; of a link, where it leads."""
    found: dict[str, tuple[int, bytes | str]] = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        status = path.lstat()
        content: bytes | str = ""
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = path.read_bytes()
        found[str(path)] = (status.st_mode, content)
    return found


def fuzz(what: str, round_of: Round, *, rounds: int = 10_000, short: int = 50) -> int:
    """The program of a fuzzer: its options, its rounds, what they cost; the exit status. short: rounds of --short."""
    parser = argparse.ArgumentParser(description=f"Fuzz {what}.")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--seconds", type=float, default=1800.0, help="begin no round after this time")
    parser.add_argument("--short", action="store_true", help=f"{short} rounds")
    options = parser.parse_args()
    wanted = short if options.short else options.rounds
    end = time.monotonic() + options.seconds
    print(f"{what}: seed {options.seed}", flush=True)
    figures = Figures()
    while figures.done < wanted and figures.faults < MOST_FAULTS and time.monotonic() < end:
        first = options.seed + figures.done
        _batch(round_of, range(first, first + min(BATCH, wanted - figures.done)), end, figures)
    print(
        f"{what}: {figures.done} rounds, {figures.faults} faults; at most {figures.seconds:.2f} s "
        f"and {figures.memory / 1e6:.0f} MB more for one"
    )
    return 1 if figures.faults else 0


@dataclass
class Figures:
    """What the rounds have cost; seconds: processor time of the slowest, memory: bytes that the largest added."""

    done: int = 0
    faults: int = 0
    seconds: float = 0.0
    memory: int = 0


def _batch(round_of: Round, seeds: range, end: float, figures: Figures) -> None:
    """Rounds in one child; what is said of each comes through a pipe, and what is not said is a fault."""
    sys.stdout.flush()
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        child = os.fork()
        if not child:
            os.close(reading)
            _work(round_of, seeds, end, Path(place).resolve(), writing)
        os.close(writing)
        told, ended = 0, False
        with os.fdopen(reading, "rb") as pipe:
            while not ended and select.select([pipe], [], [], KILL_S)[0] and (line := pipe.readline()):
                if (one := json.loads(line)) is None:
                    ended = True
                    continue
                figures.seconds, figures.memory = max(figures.seconds, one[0]), max(figures.memory, one[1])
                if one[2]:
                    figures.faults += 1
                    print(f"seed {seeds[told]}: {one[2]}", flush=True)
                told += 1
        if not ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        if not ended:
            crashed = os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL
            why = f"ended by signal {os.WTERMSIG(status)}" if crashed else f"no result within {KILL_S:.0f} s"
            print(f"seed {seeds[told]}: {why}", flush=True)
            told, figures.faults = told + 1, figures.faults + 1
        figures.done += told
        for path in (Path(place), *Path(place).rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)


def _work(round_of: Round, seeds: range, end: float, place: Path, pipe: int) -> None:
    """The child: never returns."""
    try:
        home = place / "home"
        _furnish(home)
        (place / "tmp").mkdir()
        tempfile.tempdir = None
        # argparse looks for a translation of each of its words
        os.environ.update(HOME=str(home), TMPDIR=str(place / "tmp"), LANGUAGE="C")
        before = snapshot(home)
        base = _largest()
        for seed in seeds:
            if time.monotonic() > end:
                break
            folder = place / str(seed)
            folder.mkdir()
            os.environ["SPEEDTEST_DATA_DIR"] = str(folder / "data")
            began, fault = _computed(), ""
            try:
                round_of(Room(folder, home, random.Random(seed)))
            except BaseException:
                fault = traceback.format_exc()[-3000:]
            seconds, grown = _computed() - began, max(0, _largest() - base)
            if (after := snapshot(home)) != before:
                odd = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
                fault += f"changed outside: {', '.join(odd)}"
            if seconds > HANG_S:
                fault += f"{seconds:.1f} s of processor time"
            if grown > MEMORY:
                fault += f"{grown / 1e6:.0f} MB more"
            os.write(pipe, json.dumps([seconds, grown, fault]).encode() + b"\n")
            if fault:
                break  # what comes after a fault is watched in a process of its own
            with contextlib.suppress(OSError):
                shutil.rmtree(folder)
        os.write(pipe, b"null\n")
    finally:
        os._exit(0)


def _furnish(home: Path) -> None:
    """What a person has: `Documents/thesis`, `Documents/deep/secret`, with modes of their own."""
    (home / "Documents" / "deep").mkdir(parents=True)
    (home / "Documents" / "thesis").write_text("years of work")
    (home / "Documents" / "deep" / "secret").write_text("secret")
    (home / "Documents" / "deep").chmod(0o500)
    (home / "Documents" / "thesis").chmod(0o640)


def _computed() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _largest() -> int:
    """Bytes of memory that this process or a child of it has had."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
