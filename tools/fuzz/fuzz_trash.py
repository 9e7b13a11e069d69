"""Trash folders and journals that nobody's repair has made: `python tools/fuzz/fuzz_trash.py [--rounds N] [--seed S]`.

Each round makes a cache and a data folder; puts links to the home outside of both at every level of the trashes, and
journals that speak of it; lists, undoes and empties through the program's own functions.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import Room, fuzz, mutate_json

from speedtest_tui.core.errors import UserError
from speedtest_tui.core.repair import trash
from speedtest_tui.core.repair.changes import Changes
from speedtest_tui.core.repair.undo import find, undo

ID = "20260101-000000-{:06d}-abcd"


class World:
    """One round's folders."""

    def __init__(self, room: Room) -> None:
        self.dice, self.home = room.dice, room.home
        self.cache, self.data = room.folder / "cache", room.folder / "data"
        for place in (self.cache / "models--a--b" / "blobs", self.data):
            place.mkdir(parents=True)
        (self.cache / "models--a--b" / "blobs" / "x").write_text("blob")
        documents = self.home / "Documents"
        self.outside = (self.home, documents, documents / "deep", documents / "thesis")

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
        text = json.dumps(self.journal()).encode()
        (folder / "journal.json").write_bytes(text if dice.random() < 0.7 else mutate_json(text, dice))
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


def round_of(room: Room) -> None:
    """One round; what it changes outside is seen there."""
    world = World(room)
    steps: list[Callable[[], None]] = [world.links, world.own_entry, world.made_entry, world.made_entry]
    world.dice.shuffle(steps)
    for step in steps:
        step()
    roots = (world.cache,)
    for _ in range(3):
        for name in ("", *(entry.id for entry in trash.entries(roots))):
            with contextlib.suppress(UserError):
                undo(find(name, roots))
        trash.unreadable(roots)
        if world.dice.random() < 0.5:
            trash.empty(roots)
    trash.empty(roots)


if __name__ == "__main__":
    sys.exit(fuzz("the trash", round_of, rounds=1000, short=150))
