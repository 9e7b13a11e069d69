"""What is read from a disk, a pipe or a network becomes a value of a type here, once, or is refused with one line.

Frozen dataclasses, Literals, tuples, Paths and None cross in both directions. JSON is written in ASCII, so that paths
of any bytes pass; fields that a type does not have are ignored, so that newer files can be read.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeVar

from speedtest_tui.core.format import neutral

T = TypeVar("T")


class Damaged(ValueError):
    """What was read is not of its type; the text goes on a sentence: "is not JSON (…)", "does not fit: …"."""


def encode(value: object, *, indent: int | None = None) -> bytes:
    """A value as JSON, without an end of line."""
    return json.dumps(plain(value), indent=indent, allow_nan=False).encode()


def document(value: object) -> str:
    """A value as JSON for people and their programs: indented, in UTF-8, with an end of line.

    What would steer a terminal, shows nothing or has no encoding, as the lone surrogates of a path that is no UTF-8, is
    escaped, all joiners included.
    """
    import msgspec

    try:  # ten times as fast as the standard library's
        text = msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=2).decode()
    except UnicodeEncodeError:
        text = json.dumps(plain(value), ensure_ascii=False, indent=2)
    text = neutral(text, lambda character: json.dumps(character)[1:-1])
    return text.replace("\u200c", "\\u200c").replace("\u200d", "\\u200d") + "\n"


def plain(value: object) -> Any:
    """A value as what JSON has: objects, arrays, strings, numbers, true, false and null."""
    import msgspec

    return msgspec.to_builtins(value, enc_hook=_plain)


def decode(kind: type[T], data: bytes | str) -> T:
    """Read JSON as a value of `kind`. Raises Damaged."""
    return typed(kind, parse(data))


def parse(data: bytes | str) -> object:
    """Read JSON as whatever it is, for `typed`. Raises Damaged."""
    try:
        return json.loads(data, parse_constant=_no_number, parse_int=_whole, parse_float=_finite)
    except RecursionError:
        raise Damaged("is nested too deeply") from None
    except ValueError as error:
        raise Damaged(f"is not JSON ({str(error)[:80]})") from None


def typed(kind: type[T], value: object) -> T:
    """What a parser has made, of JSON or TOML for example, as a value of `kind`. Raises Damaged."""
    import msgspec

    try:
        return msgspec.convert(value, kind, dec_hook=_made)
    except msgspec.ValidationError as error:
        raise Damaged(f"does not fit: {' '.join(str(error).split())}") from None
    except UnicodeEncodeError:  # half a surrogate pair where one of a few words belongs
        raise Damaged("does not fit: it has a character that is none") from None
    except RecursionError:
        raise Damaged("is nested too deeply") from None


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"no form in JSON for {type(value).__name__}")


def _made(kind: type[Any], value: object) -> object:
    if issubclass(kind, Path):
        if not isinstance(value, str) or "\0" in value:
            raise ValueError("no path")
        return kind(value)
    raise TypeError(f"no value of {kind.__name__} from JSON")


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _whole(digits: str) -> int:
    if len(digits) > 19:
        raise ValueError(f"{digits[:12]}… is too large a number")
    return int(digits)


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError(f"{digits[:12]} is too large a number")
    return value
