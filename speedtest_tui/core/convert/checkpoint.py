"""A torch checkpoint inside the archive: its index, and its tensors one at a time, read in place.

The index of a torch checkpoint, read without unpickling it: no code of the file is ever run.

torch stores a dictionary of tensors as a pickle that calls a handful of functions. Here its opcodes are interpreted by
a machine that knows only those, builds plain records and refuses everything else; torch's own `weights_only` reader
does the same with a longer list.
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from speedtest_tui.core.convert.archive import Archive, Member
from speedtest_tui.core.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray


WIDTHS = {
    "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "DoubleStorage": 8, "LongStorage": 8,
    "IntStorage": 4, "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
"""Bytes of one number."""

FLOATING = {"FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "<u2", "DoubleStorage": "<f8"}
"""How numpy reads the kinds that weights have; it has no bfloat16, whose bits are the upper half of a float32."""

INDEX_LIMIT_BYTES, OPCODES_LIMIT = 4 * 2**20, 500_000
"""Of the directory and of the index. Two thousand tensors, more than any checkpoint here has, take a tenth of it."""

DIMENSIONS_LIMIT, EMPTY_LIMIT = 8, 2**31

AGAIN = "download the checkpoint again"
LOCAL_HEADER = struct.Struct("<4s22xHH")


class Window(io.RawIOBase):
    """A member of the archive as a file of its own, for zipfile to read its directory, which lies at the end."""

    def __init__(self, archive: Archive, member: Member) -> None:
        self._archive, self._member, self._at, self._left = archive, member, 0, INDEX_LIMIT_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._member.size}[whence]
        if self._at < 0:
            raise OSError("seek before the beginning")
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = max(0, min(len(buffer), self._member.size - self._at))
        self._left -= count
        if self._left < 0:
            raise OSError("its directory is too long")
        buffer[:count] = self._archive.read_at(self._member.offset + self._at, count)
        self._at += count
        return count


class Checkpoint:
    """The tensors of one `.ckpt` member by name; `tensors` says how each is stored."""

    def __init__(self, archive: Archive, name: str) -> None:
        """Read the index. Raises UserError for anything but a plain torch checkpoint; OSError."""
        self._archive, self._member = archive, archive.member(name)
        self._what = f"{name} in {archive.name}"
        self._files = self._directory()
        folder = next((path.rpartition("/")[0] for path in self._files if path.rpartition("/")[2] == "data.pkl"), None)
        if folder is None:
            raise UserError(f"{self._what} is no torch checkpoint that is known", AGAIN)
        self._folder = f"{folder}/" if folder else ""
        if self._content("byteorder", b"little") != b"little":
            raise UserError(f"{self._what} was written by a big-endian machine", "convert it to little-endian first")
        try:
            self.tensors: Mapping[str, Stored] = read(self._content("data.pkl"))
        except UnsafePickleError as error:
            raise UserError(
                f"{self._what} is not read: {error}", "take checkpoints only from where you trust"
            ) from error
        for tensor_name, stored in self.tensors.items():
            self._check(tensor_name, stored)

    def is_floating(self, name: str) -> bool:
        return self.tensors[name].storage.kind in FLOATING

    def read(self, name: str) -> NDArray[np.float32]:
        """Read one tensor as float32, a copy of its own. Raises UserError, OSError."""
        stored = self.tensors[name]
        kind, width = stored.storage.kind, WIDTHS[stored.storage.kind]
        span = 1 + sum((size - 1) * step for size, step in zip(stored.shape, stored.strides, strict=True))
        if 0 in stored.shape:
            return np.zeros(stored.shape, np.float32)
        begin = self._data_offset(self._file(stored.storage)) + stored.start * width
        raw = np.frombuffer(self._archive.read_at(begin, span * width), FLOATING[kind])
        bytes_of = [step * width for step in stored.strides]
        laid = np.lib.stride_tricks.as_strided(raw, stored.shape, bytes_of)
        if kind == "BFloat16Storage":
            return (laid.astype(np.uint32) << 16).view(np.float32)
        return np.ascontiguousarray(laid, np.float32).reshape(stored.shape)

    def _directory(self) -> Mapping[str, zipfile.ZipInfo]:
        try:
            with zipfile.ZipFile(io.BufferedReader(Window(self._archive, self._member))) as file:
                entries = file.infolist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, struct.error) as error:
            raise UserError(
                f"{self._what} is no torch checkpoint, or cut off ({error})",
                f"{AGAIN}; those before torch 1.6 are too old",
            ) from error
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise UserError(f"{self._what} has compressed or encrypted parts, which torch never writes", AGAIN)
        return {entry.filename: entry for entry in entries}

    def _content(self, name: str, default: bytes | None = None) -> bytes:
        entry = self._files.get(self._folder + name)
        if entry is None and default is not None:
            return default
        if entry is None or entry.file_size > INDEX_LIMIT_BYTES:
            raise UserError(f"{self._what} has no usable {name}", AGAIN)
        return bytes(self._archive.read_at(self._data_offset(entry), entry.file_size))

    def _file(self, storage: Storage) -> zipfile.ZipInfo:
        entry = self._files.get(f"{self._folder}data/{storage.key}")
        if entry is None:
            raise UserError(f"{self._what} lacks the data {storage.key} that its index names", AGAIN)
        return entry

    def _data_offset(self, entry: zipfile.ZipInfo) -> int:
        """Where a part's bytes begin in the tar, all of them inside the member."""
        header = self._archive.read_at(self._member.offset + entry.header_offset, LOCAL_HEADER.size)
        magic, name_length, extra_length = LOCAL_HEADER.unpack(header)
        begin: int = entry.header_offset + LOCAL_HEADER.size + name_length + extra_length
        if magic != b"PK\x03\x04" or begin + entry.file_size > self._member.size:
            raise UserError(f"{self._what} is damaged", AGAIN)
        return self._member.offset + begin

    def _check(self, name: str, stored: Stored) -> None:
        """That a tensor lies within its storage, and the storage within its file."""
        count, size = stored.storage.count, math.prod(max(1, size) for size in stored.shape)
        last = stored.start + sum((size - 1) * step for size, step in zip(stored.shape, stored.strides, strict=True))
        if 0 in stored.shape:
            inside = size < EMPTY_LIMIT
        else:
            # Strides of zero would make gigabytes of a single number.
            inside = last < count and size <= count and max(stored.strides, default=0) <= count
        inside = inside and len(stored.shape) <= DIMENSIONS_LIMIT
        if not inside or count * WIDTHS[stored.storage.kind] > self._file(stored.storage).file_size:
            raise UserError(f"{self._what}: {name} reaches beyond its data", AGAIN)


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
