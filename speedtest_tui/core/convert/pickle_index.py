"""The index of a torch checkpoint, read without unpickling it: no code of the file is ever run.

torch stores a dictionary of tensors as a pickle that calls a handful of functions. Here its opcodes are interpreted by
a machine that knows only those, builds plain records and refuses everything else; torch's own `weights_only` reader
does the same with a longer list.
"""

from __future__ import annotations

import pickletools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OPCODES_LIMIT = 20_000_000


class UnsafePickleError(Exception):
    """The pickle does what an index of tensors has no need of; the text names it."""


@dataclass(frozen=True)
class Storage:
    """`count` numbers of `kind` ("FloatStorage") in the file `data/<key>`."""

    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class Stored:
    """A tensor: where its numbers begin in their storage, and how they lie, all counted in numbers."""

    storage: Storage
    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass
class _Ordered:
    """An OrderedDict under construction; its attributes (torch keeps versions there) are dropped."""

    items: dict[Any, Any] = field(default_factory=dict)


REBUILD, PARAMETER = "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"
ORDERED = "collections OrderedDict"
STORAGES = tuple(
    f"{kind}Storage" for kind in ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte", "Bool")
)
_ALLOWED = {REBUILD, PARAMETER, ORDERED, *(f"torch {kind}" for kind in STORAGES)}
_MARK = object()

VALUES = ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE", "BINFLOAT")
"""Opcodes that push their argument."""
CONSTANTS = {"NEWTRUE": True, "NEWFALSE": False, "NONE": None, "EMPTY_TUPLE": (), "MARK": _MARK}


def read(data: bytes) -> Mapping[str, Stored]:
    """Return the tensors by name. Raises UnsafePickleError for anything but a flat dictionary of tensors."""
    try:
        result = _run(data)
    except UnsafePickleError:
        raise
    except Exception as error:
        # A damaged pickle fails in many ways: stack underflow, unknown opcodes, values of a wrong kind.
        raise UnsafePickleError(f"it is damaged ({type(error).__name__}: {error})") from error
    items = result.items if isinstance(result, _Ordered) else result
    if not isinstance(items, dict):
        raise UnsafePickleError("it holds no dictionary of tensors")
    for name, value in items.items():
        if not isinstance(name, str) or not isinstance(value, Stored):
            raise UnsafePickleError(f"{name!r} is no tensor but {type(value).__name__}")
    return items


def _run(data: bytes) -> Any:
    machine = _Machine()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if count > OPCODES_LIMIT:
            raise UnsafePickleError("it has too many steps")
        if opcode.name == "STOP":
            return machine.stack.pop()
        machine.step(opcode.name, argument)
    raise UnsafePickleError("it has no end")


class _Machine:
    """The pickle machine, reduced: a stack, a memo, and the opcodes that torch's indexes consist of."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Carry out one opcode. Raises UnsafePickleError, and whatever a damaged pickle leads to."""
        stack = self.stack
        if name in ("PROTO", "FRAME"):
            return
        if name in VALUES:
            stack.append(argument)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name == "TUPLE":
            stack.append(tuple(self._since_mark()))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            size = int(name[-1])
            stack[-size:] = [tuple(stack[-size:])]
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _items(stack[-1])[key] = value
        elif name == "SETITEMS":
            pairs = self._since_mark()
            _items(stack[-1]).update(zip(pairs[::2], pairs[1::2], strict=True))
        else:
            self._object(name, argument)

    def _object(self, name: str, argument: Any) -> None:
        """Opcodes that make objects: in an ordinary pickle these are the dangerous ones."""
        stack = self.stack
        if name == "GLOBAL":
            stack.append(_allowed(argument))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_allowed(f"{module} {attribute}"))
        elif name == "BINPERSID":
            stack.append(_storage(stack.pop()))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_call(function, arguments))
        elif name == "BUILD":
            stack.pop()
            if not isinstance(stack[-1], _Ordered):
                raise UnsafePickleError("it sets the state of an object")
        else:
            raise UnsafePickleError(f"it uses the opcode {name}")

    def _since_mark(self) -> list[Any]:
        items: list[Any] = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]


def _allowed(name: str) -> _Global:
    if name not in _ALLOWED:
        raise UnsafePickleError(f"it wants to use {name.replace(' ', '.')}")
    return _Global(name)


def _items(target: Any) -> dict[Any, Any]:
    if isinstance(target, _Ordered):
        return target.items
    if isinstance(target, dict):
        return target
    raise UnsafePickleError(f"it sets items of a {type(target).__name__}")


def _storage(given: Any) -> Storage:
    word, kind, key, _, count = given
    if word != "storage" or not isinstance(kind, _Global) or not isinstance(key, str) or not key.isalnum():
        raise UnsafePickleError("it refers to something that is no storage")
    return Storage(kind.name.removeprefix("torch "), key, _count(count))


def _call(function: Any, arguments: Any) -> Any:
    name = function.name if isinstance(function, _Global) else ""
    if name == ORDERED and not arguments:
        return _Ordered()
    if name == REBUILD:
        storage, start, shape, strides = arguments[:4]
        if isinstance(storage, Storage) and len(shape) == len(strides):
            return Stored(storage, _count(start), tuple(map(_count, shape)), tuple(map(_count, strides)))
    if name == PARAMETER and isinstance(arguments[0], Stored):
        return arguments[0]
    raise UnsafePickleError("it calls something with arguments that no tensor has")


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UnsafePickleError(f"it has {value!r:.40} where a count belongs")
    return value
