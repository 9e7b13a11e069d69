"""Trash folders and journals that nobody's repair has made: `python tools/fuzz/fuzz_trash.py [--rounds N] [--seed S]`.

Each round makes a cache, a data folder and a home outside of both; puts links to that home at every level of the
trashes, and journals that speak of it; lists, undoes and empties through the program's own functions; and fails where a
byte, a mode or a name of the home has changed. Prints the seed, with which a round can be repeated.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from speedtest_tui.core.errors import UserError
from speedtest_tui.core.repair import trash
from speedtest_tui.core.repair.changes import Changes
from speedtest_tui.core.repair.undo import find, undo

ID = "20260101-000000-{:06d}-abcd"


class World:
    """One round's folders: `home` is what must not change."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self.dice = dice
        self.home, self.cache, self.data = folder / "home", folder / "cache", folder / "data"
        for place in (self.home / "Documents" / "deep", self.cache / "models--a--b" / "blobs", self.data):
            place.mkdir(parents=True)
        (self.home / "Documents" / "thesis").write_text("years of work")
        (self.home / "Documents" / "deep" / "secret").write_text("secret")
        (self.home / "Documents" / "deep").chmod(0o500)
        (self.home / "Documents" / "thesis").chmod(0o640)
        (self.cache / "models--a--b" / "blobs" / "x").write_text("blob")
        self.outside = (self.home, self.home / "Documents", self.home / "Documents" / "deep",
                        self.home / "Documents" / "thesis")  # fmt: skip

    def snapshot(self) -> list[tuple[str, int, bytes | str]]:
        """Every name outside with its mode and content."""
        found: list[tuple[str, int, bytes | str]] = []
        for path in sorted(self.home.rglob("*")):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else str(path.readlink()) if path.is_symlink() else ""
            found.append((str(path), status.st_mode, content))
        return found

    def link(self, path: Path) -> None:
        """A link at `path` to something outside, in place of what may stand there."""
        # Never behind another link of ours: this is not what changes the home.
        if not os.path.lexists(path) and path.parent.resolve() == path.parent:
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(self.dice.choice(self.outside))

    def place(self) -> Path:
        """One of the two trashes."""
        return self.dice.choice((self.data / "trash", self.cache / trash.FALLBACK))

    def own_entry(self) -> None:
        """An entry as a repair leaves it, perhaps in a repository that is a link of its owner's."""
        made = Changes("a repair")
        with contextlib.suppress(UserError, OSError):
            if self.dice.random() < 0.5:
                made.write(self.cache / "models--a--b" / "blobs" / "x", self.cache, "new")
            else:
                made.remove(self.cache / "models--a--b" / "blobs" / "x", self.cache)
        if made.made and self.dice.random() < 0.5:
            # Somebody swaps a folder for a link afterwards.
            victim = self.dice.choice(("models--a--b", "models--a--b/blobs"))
            target = self.cache / victim
            with contextlib.suppress(OSError):
                target.rename(self.cache / f"moved-{target.name}")
                self.link(target)

    def made_entry(self) -> None:
        """An entry that a stranger made."""
        dice = self.dice
        folder = self.place() / ID.format(dice.randrange(1_000_000))
        if dice.random() < 0.15:
            return self.link(folder)
        if folder.parent.resolve() == folder.parent:
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
        if not folder.is_dir() or folder.resolve() != folder:
            return None
        for name in ("0001-x", "0002-y", "replaced", "sub/inner"):
            if dice.random() < 0.4:
                self.link(folder / name)
            elif dice.random() < 0.5:
                with contextlib.suppress(OSError):
                    (folder / name).parent.mkdir(exist_ok=True)
                    if not os.path.lexists(folder / name):
                        (folder / name).write_text("theirs")
        if dice.random() < 0.1:
            return self.link(folder / "journal.json")
        (folder / "journal.json").write_text(json.dumps(self.journal()) if dice.random() < 0.95 else "{")
        return None

    def journal(self) -> dict[str, Any]:
        """Mostly right in form: what is refused as damaged does no harm."""
        dice = self.dice
        root = dice.choice((self.cache, self.cache, self.data, self.home, Path("/")))
        changes = []
        for number in range(1, dice.randrange(2, 5)):
            below = dice.choice(("thesis", "Documents/thesis", "sub/thesis", "sub/deep/secret", "models--a--b/blobs/x",
                                 "models--a--b", "../home/Documents/thesis", "sub"))  # fmt: skip
            changes.append({
                "number": number, "path": str(root / below), "root": str(root),
                "kept": dice.choice(("", "0001-x", "0002-y", "replaced", "../0001-x")),
                "link": dice.choice(("", str(self.home))), "folder": dice.random() < 0.3,
                "through": dice.choice(("", str(self.home / "Documents"))),
            })  # fmt: skip
        return {"format": 1, "what": "theirs", "started": "2026-01-01T00:00:00+00:00", "undoes": "", "undone": False,
                "changes": changes}  # fmt: skip

    def links(self) -> None:
        """Links where the program will pass."""
        for path in (self.data / "trash", self.cache / trash.FALLBACK, self.cache / "sub", self.cache / ".locks",
                     self.cache / ".locks" / "models--a--b", self.data / trash.KNOWN,
                     self.place() / f"{trash.EMPTYING}x", self.place() / f"{trash.EMPTYING}{ID.format(7)}",
                     ):  # fmt: skip
            if self.dice.random() < 0.25:
                self.link(path)


def round_of(folder: Path, seed: int) -> list[str]:
    """One round; what has changed outside, in words."""
    world = World(folder, random.Random(seed))
    os.environ["SPEEDTEST_DATA_DIR"] = str(world.data)
    steps: list[Callable[[], None]] = [world.links, world.own_entry, world.made_entry, world.made_entry]
    world.dice.shuffle(steps)
    for step in steps:
        step()
    before = world.snapshot()
    roots = (world.cache,)
    for _ in range(3):
        for name in ("", *(entry.id for entry in trash.entries(roots))):
            with contextlib.suppress(UserError):
                undo(find(name, roots))
        trash.unreadable(roots)
        if world.dice.random() < 0.5:
            trash.empty(roots)
    trash.empty(roots)
    after = world.snapshot()
    (world.home / "Documents" / "deep").chmod(0o700)
    return [f"{path}" for path, *_ in set(before) ^ set(after)]


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the trash with links and journals.")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--seconds", type=float, default=300.0, help="end after this time")
    parser.add_argument("--short", action="store_true", help="50 rounds")
    options = parser.parse_args()
    began, done = time.monotonic(), 0
    print(f"seed {options.seed}")
    for number in range(50 if options.short else options.rounds):
        if time.monotonic() - began > options.seconds:
            break
        with tempfile.TemporaryDirectory() as folder:
            if changed := round_of(Path(folder).resolve(), options.seed + number):
                print(f"seed {options.seed + number}: changed outside: {', '.join(changed)}")
                return 1
        done += 1
    print(f"{done} rounds: nothing outside has changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
