"""What the dashboard remembers between two starts: a TOML file that a person may edit as well.

Reading uses the standard library only, as it happens before the first frame. A value that cannot be used is named and
its default taken; the file is never overwritten while it cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from backends.catalogue import SIZES
from speedtest_tui.core import disk
from speedtest_tui.core.format import one_line
from speedtest_tui.core.locations import config_file

DEFAULT_RUNS = 5
MAX_RUNS = 1_000
RECENT_KEPT = 20
NAME_MAX, LISTED_MAX = 60, 50
MAX_SILENCE_S = 600.0

LARGEST = 1 << 20
"""Bytes of the file. A larger one is none that a person keeps, and is neither read nor written."""

HEADER = """\
# Settings of speedtest-tui. The dashboard changes them as you use it; comments and what it does not know are kept.
# [keys] rebinds: the id of a binding (see ? in the dashboard) = one or more keys, such as  race = "enter,f5"
# [options.parakeet-mlx] sets what a backend has to set, such as  beam = 4  or  chunk_seconds = 60
# [shortlists] keeps choices by name, such as  dictation = ["mlx-whisper:small", "canary-mlx:canary-1b-v2?beam=4"]
"""


@dataclass(frozen=True)
class Settings:
    """Everything that is remembered. Empty or None means the program's own default."""

    theme: str = ""
    ascii: bool = False
    size: str = SIZES[0]
    runs: int = DEFAULT_RUNS
    language: str = ""
    backends: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    """What races where that is more than each of the backends at that size, as --model takes it."""
    device: str = ""
    listen: bool = True
    """Whether the microphone is open while the dashboard waits for a recording, so that no first word is lost."""
    silence_stop: float = 0.0
    """Seconds of silence after which a recording stops by itself; 0 is never."""
    recent: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Options of backends by the backend's name, as --option sets them."""
    shortlists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Choices that were kept by name. An empty one is to be forgotten: on saving, others in the file stay."""
    max_wer: float | None = None
    """Percent of wrong words up to which a text is good enough; without it, what is near the best one's."""
    download: bool = False
    """Whether a download that a race waits for has not come to its end yet."""

    def with_recent(self, path: Path) -> Settings:
        """The same with a file at the top of the recent ones, once."""
        text = str(path.absolute())
        others = tuple(name for name in self.recent if name != text)
        return replace(self, recent=(text, *others)[:RECENT_KEPT])


@dataclass(frozen=True)
class Reading:
    """The settings in force, and what was wrong with the file, one sentence each."""

    settings: Settings
    problems: tuple[str, ...] = ()
    writable: bool = True
    """False where the file is no TOML: saving would lose what its owner wrote."""


def _strings(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("should be a list of texts")
    return tuple(value)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("should be a text")
    return value


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("should be true or false")
    return value


def _runs(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_RUNS:
        raise ValueError(f"should be a number from 1 to {MAX_RUNS}")
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_SILENCE_S:
        raise ValueError(f"should be a number of seconds from 0 to {MAX_SILENCE_S:g}")
    return float(value)


def percent(value: Any) -> float:
    """From 0 to 100. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise ValueError("should be a percentage from 0 to 100")
    return float(value)


def _keys(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(key, str) and key for key in value.values()):
        raise ValueError("should name keys as texts")
    return dict(value)


ABOUT_CANDIDATES = f"should list 1 to {LISTED_MAX} candidates such as mlx-whisper:small"


def shortlist_name(text: str) -> str:
    """A name under which a choice can be kept, as it is kept. Raises ValueError."""
    name = text.strip()
    if not 0 < len(name) <= NAME_MAX or name != one_line(name):
        raise ValueError(f"should have a name of 1 to {NAME_MAX} characters that can be shown")
    return name


def _shortlist(name: str, value: Any) -> tuple[str, ...]:
    if shortlist_name(name) != name:
        raise ValueError("should have no blanks around its name")
    if not (names := _candidates(value)):
        raise ValueError(ABOUT_CANDIDATES)
    return names


def _candidates(value: Any) -> tuple[str, ...]:
    names = _strings(value)
    if len(names) > LISTED_MAX or not all(one == one_line(one) for one in names):
        raise ValueError(ABOUT_CANDIDATES)
    return tuple(dict.fromkeys(names))


def _shortlists(value: Any) -> tuple[dict[str, tuple[str, ...]], str]:
    """Those of a table that can be used, and what is wrong with the others. Raises ValueError for what is no table."""
    if not isinstance(value, dict):
        raise ValueError("should be a table of lists")
    found, problems = {}, []
    for name, listed in value.items():
        try:
            found[name] = _shortlist(name, listed)
        except ValueError as error:
            problems.append(f'shortlist "{one_line(name)[:NAME_MAX]}" {error}')
    more = f", and {len(problems) - 1} more like it" if len(problems) > 1 else ""
    return found, f"{problems[0]}{more}" if problems else ""


def _options(value: Any) -> dict[str, dict[str, str]]:
    if not isinstance(value, dict) or not all(isinstance(options, dict) for options in value.values()):
        raise ValueError("should be tables named after backends, such as [options.parakeet-mlx]")
    plain = [option for options in value.values() for option in options.values()]
    if not all(isinstance(option, str | int | float) and not isinstance(option, bool) for option in plain):
        raise ValueError("should name texts and numbers")
    return {backend: {name: str(option) for name, option in options.items()} for backend, options in value.items()}


READERS: dict[str, Callable[[Any], Any]] = {
    "theme": _string,
    "ascii": _switch,
    "size": _string,
    "runs": _runs,
    "language": _string,
    "backends": _strings,
    "device": _string,
    "listen": _switch,
    "silence_stop": _seconds,
    "max_wer": percent,
    "recent": _strings,
    "candidates": _candidates,
    "download": _switch,
    "keys": _keys,
    "options": _options,
    "shortlists": _shortlists,
}


def load() -> Reading:
    """Read the file; a missing one is no problem."""
    path = config_file()
    try:
        data = disk.read_plain(path, LARGEST)[0]
        import tomllib

        content = tomllib.loads(data.decode())
    except FileNotFoundError:
        return Reading(Settings())
    except OSError as error:
        return Reading(Settings(), (f"{path} cannot be read ({error.strerror}): defaults are used",), writable=False)
    except (ValueError, RecursionError) as error:  # not only TOMLDecodeError: a number may have too many digits
        problem = f"{path} is no valid TOML ({str(error)[:200]}): defaults are used"
        return Reading(Settings(), (problem,), writable=False)
    known: dict[str, Any] = {}
    problems = []
    for name, value in content.items():
        if name not in READERS:
            problems.append(f"{path}: nothing is called {name!r}: it is ignored")
            continue
        try:
            known[name] = READERS[name](value)
        except ValueError as error:
            problems.append(f"{path}: {name} {error}: its default is used")
    known["shortlists"], wrong = known.get("shortlists", ({}, ""))
    problems += [f"{path}: {wrong}: left alone"] if wrong else []
    return Reading(Settings(**known), tuple(problems))


def save(settings: Settings) -> None:
    """Write what differs from the defaults, keeping comments and order of an existing file.

    A value that cannot be used stays as its owner wrote it until another one is chosen; a table stays in any case.
    Raises OSError, and ValueError where the existing file is no TOML.
    """
    import tomllib

    import tomlkit

    path = config_file()
    try:
        text = disk.read_plain(path, LARGEST)[0].decode()  # which leaves ends of lines as they are
        written = tomllib.loads(text)  # tomlkit takes some of what is none
        document = tomlkit.parse(text)
    except FileNotFoundError:
        written, document = {}, tomlkit.parse(HEADER)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    defaults = Settings()
    for entry in fields(Settings):
        name, value = entry.name, getattr(settings, entry.name)
        if name in ("keys", "options", "shortlists"):
            continue  # their owner's own, and what is changed below
        plain, is_default = list(value) if isinstance(value, tuple) else value, value == getattr(defaults, name)
        if name not in written:
            if not is_default:
                document[name] = plain
            continue
        item = document.item(name)
        if not isinstance(item, tomlkit.items.Item) or isinstance(item, tomlkit.items.Table | tomlkit.items.AoT):
            continue
        if is_default and not _usable(name, written[name]):
            continue
        beside, within = item.trivia.comment, _comments(item.as_string())
        if is_default and (value is None or not (beside or within)):
            del document[name]
        elif written[name] == plain:
            continue
        elif within and isinstance(value, tuple):
            document[name] = tomlkit.value(_list(item.as_string(), value))
            continue
        else:
            document[name] = plain
            beside = ""  # which tomlkit keeps
        for comment in filter(None, (beside, *within)):
            document.add(tomlkit.comment(comment.lstrip("# ")))
    _save_shortlists(document, settings.shortlists)
    path.parent.mkdir(parents=True, exist_ok=True)
    # It may be a link into a folder of dotfiles.
    disk.write_where_asked(path, tomlkit.dumps(document).encode())


def _usable(name: str, value: Any) -> bool:
    try:
        READERS[name](value)
    except ValueError:
        return False
    return True


PIECE = r'(?s)"""(?:\\.|[^\\])*?"{3,5}|\'{3}.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\r\n]*|\n'
"""In a TOML value: a string, a comment or an end of line."""


def _comments(text: str) -> tuple[str, ...]:
    return tuple(piece for piece in re.findall(PIECE, text) if piece[0] == "#")


def _list(old: str, values: Sequence[str]) -> str:
    """A list of these values that keeps the comments of the old one: before or beside a value that stays, else last."""
    import tomllib

    import tomlkit

    above: list[str] = []
    beside: dict[str, str] = {}
    before: dict[str, list[str]] = {}
    last = ""  # the value that this line has
    for piece in re.findall(PIECE, old):
        if piece == "\n":
            last = ""
        elif piece[0] != "#":
            last = str(tomllib.loads(f"x = {piece}")["x"])
            before[last] = [*before.get(last, ()), *above]
            above = []
        elif last and last not in beside:
            beside[last] = f"  {piece}"
        else:
            above.append(piece)
    lines = []
    for value in values:
        lines += [*before.pop(value, ()), f"{tomlkit.item(value).as_string()},{beside.pop(value, '')}"]
    for value in list(before):
        lines += [*before.pop(value), beside.pop(value, "").strip()]
    return "".join(f"\n  {line}" for line in [*lines, *above] if line).join(("[", "\n]"))


def _save_shortlists(document: Any, shortlists: Mapping[str, Sequence[str]]) -> None:
    """Write those that changed; what is no table is its owner's. Raises ValueError."""
    import tomlkit

    table = document.get("shortlists")
    if not shortlists or (table is None and not any(shortlists.values())):
        return
    if table is None:
        table = document["shortlists"] = tomlkit.table()
    if not isinstance(table, dict):
        raise ValueError("[shortlists] should be a table of lists")
    for name, listed in shortlists.items():
        old = table.get(name)
        if not listed:
            table.pop(name, None)
        elif old is None or not isinstance(old, list):
            table[name] = list(listed)
        elif old != list(listed):
            text = old.as_string() if isinstance(old, tomlkit.items.Item) else ""
            table[name] = tomlkit.value(_list(text, listed)) if _comments(text) else list(listed)
