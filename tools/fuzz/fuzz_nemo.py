"""Damaged .nemo files: `python tools/fuzz/fuzz_nemo.py [--rounds N] [--seed S] [--seconds S] [--short]`.

The tiny checkpoints of the tests, of which the tar, the configuration, the index or the numbers of the weights or a
tokenizer is changed, or that have a member more. Each is looked into, and its weights are read as a conversion does.
"""

from __future__ import annotations

import functools
import io
import pickle
import pickletools
import random
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from common import SPECIAL, Room, fuzz, mutate

from speedtest_tui.core.convert import config, keymap, recipe, tokenizers
from speedtest_tui.core.convert.archive import Archive
from speedtest_tui.core.convert.checkpoint import Checkpoint
from speedtest_tui.core.convert.preview_child import look
from speedtest_tui.core.errors import UserError

sys.path[:0] = [str(Path(__file__).parents[2] / "tests" / "nemo")]
from checkpoints import FAMILIES, WEIGHTS, YAML, members, pack  # noqa: E402

VALUES: tuple[Any, ...] = (
    None, 0, 1, -1, 2, 7, 999_999, 10**6, 10**18, 10**400, 0.5, 1e308, float("nan"), float("inf"), True, "", "x",
    "\x1b[2J\u202e", "x" * 9_999, [], {}, [[]] * 3, {"a": {}}, "nemo:../x", "nemo:", "tdt", "bpe", "agg", ["a", 1],
)  # fmt: skip
TYPES = (
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.FIFOTYPE,
    tarfile.DIRTYPE,
    tarfile.REGTYPE,
    b"S",
    b"x",
)


whole = functools.cache(members)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a configuration there is something."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in items for place in ((*path, key), *places(inner, (*path, key)))]


def other_settings(data: bytes, dice: random.Random) -> bytes:
    """A configuration with one to three other values in it."""
    settings = yaml.safe_load(data)
    for _ in range(dice.choice((1, 1, 2, 3))):
        *path, last = dice.choice(places(settings))
        inner = settings
        for key in path:
            inner = inner[key] if isinstance(inner, dict | list) and (isinstance(inner, list) or key in inner) else {}
        if isinstance(inner, dict) and dice.random() < 0.2:
            inner.pop(last, None)
        elif isinstance(inner, dict) or (inner and isinstance(last, int)):
            number = (
                isinstance(inner[last], int) and dice.random() < 0.4 if last in inner or isinstance(last, int) else 0
            )
            inner[last] = dice.choice((10**6, 999_999, 100_000, 1_001, 257, 3)) if number else dice.choice(VALUES)
    return str(yaml.safe_dump(settings, allow_unicode=True)).encode("utf-8", "surrogatepass")


def other_index(data: bytes, dice: random.Random) -> bytes:
    """Weights whose index (a pickle) or numbers are changed, in an archive that is whole."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("data.pkl"):
                content = mutate(content, dice) if dice.random() < 0.4 else other_numbers(content, dice)
            elif dice.random() < 0.01:
                content = mutate(content, dice)
            new.writestr(name, content)
    return out.getvalue()


def other_numbers(index: bytes, dice: random.Random) -> bytes:
    """An index with one to three other numbers: shapes, strides, starts and lengths."""
    for _ in range(dice.choice((1, 1, 2, 3))):
        steps = list(pickletools.genops(index))
        number = dice.choice(
            [n for n, (opcode, _, _) in enumerate(steps) if opcode.name.startswith(("BININT", "LONG1"))]
        )
        value = dice.choice((*SPECIAL, 3, 64, 4_096, 100_000, 2**40, 10**30))
        begin, end = steps[number][2], steps[number + 1][2]
        index = index[:begin] + pickle.dumps(value, 2)[2:-1] + index[end:]
    return index


def made(path: Path, files: dict[str, bytes], dice: random.Random) -> None:
    """Write a mutant."""
    files, kind = dict(files), dice.choice(("tar", "tar", "yaml", "settings", "settings", "weights", "index", "index",
                                            "tokenizer", "member"))  # fmt: skip
    special = []
    if kind == "yaml":
        files[YAML] = mutate(files[YAML], dice)
    elif kind == "settings":
        files[YAML] = other_settings(files[YAML], dice)
    elif kind == "weights":
        files[WEIGHTS] = mutate(files[WEIGHTS], dice)
    elif kind == "index":
        files[WEIGHTS] = other_index(files[WEIGHTS], dice)
    elif kind == "tokenizer":
        name = dice.choice([name for name in files if name not in (YAML, WEIGHTS)])
        content = files.pop(name)
        if dice.random() < 0.7:
            files[name + dice.choice(("", "", "x", "\udcff"))] = mutate(content, dice)
    elif kind == "member":
        info = tarfile.TarInfo(
            dice.choice(("../../x", "/tmp/x", "a", YAML, WEIGHTS, "a\x1b[2J\nb", "\udcff", "é" * 200))
        )
        info.type, info.linkname = dice.choice(TYPES), dice.choice(("../../outside", "/etc/passwd", ""))
        info.size = dice.choice((0, 0, 0, 1, 513, 2**33, 2**62))
        special.append(info)
    pack(path, files, *special, compressed=dice.random() < 0.2)
    if kind == "tar":
        path.write_bytes(mutate(path.read_bytes(), dice))


def read(path: Path, scratch: Path) -> None:
    """What is done before and while a checkpoint is converted, without the conversion."""
    look(path, scratch)
    with Archive(path, scratch / "archive.tar") as archive:
        found = recipe.recipe_of(config.read(archive))
        tokenizers.read_all(archive, found.tokenizer)
        checkpoint = Checkpoint(archive, "model_weights.ckpt")
        keymap.check(keymap.rules_of(found), checkpoint)
        for name in checkpoint.tensors:
            if checkpoint.is_floating(name):
                checkpoint.read(name)


def round_of(room: Room) -> None:
    """One mutant."""
    path, scratch = room.folder / "mutant.nemo", room.folder / "scratch"
    scratch.mkdir()
    made(path, whole(room.dice.choice(FAMILIES)), room.dice)
    try:
        read(path, scratch)
    except (UserError, OSError) as error:
        if str(error).splitlines() != [str(error)]:
            raise AssertionError("no single line") from error
    if extra := [entry.name for entry in room.folder.rglob("*") if entry not in (path, scratch)]:
        raise AssertionError(f"made {extra}")


if __name__ == "__main__":
    for family in FAMILIES:
        whole(family)
    sys.exit(fuzz("checkpoints", round_of, short=150))
