"""What a file's own structure says of it: is it whole, and is it what its name promises? Reads headers, not weights.

A file that passes may still be corrupt inside: only its hash can tell.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import stat
import struct
import time
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from speedtest_tui.core import darwin
from speedtest_tui.core.format import amount, of, one_line
from speedtest_tui.core.models.layout import is_safe_name
from speedtest_tui.core.models.status import FaultKind
from speedtest_tui.core.models.wanted import INDEX

LFS_POINTER = b"version https://git-lfs"
"""How a file begins that stands for a large one (git-lfs specification v1)."""

SAFETENSORS_HEADER_MAX = 100_000_000
"""Bytes; the safetensors library refuses longer headers."""

HEADER_MAX, TENSORS_MAX = 10_000_000, 100_000
"""Bytes and tensors of a header that is read: none is known to have 20,000, and a million would take 15 s."""

DIRECTORY_MAX = 4_000_000
"""Bytes of a zip archive's directory that is read: those of 20,000 tensors have 2 MB."""

JSON_MAX, JSON_PARTS_MAX = 16_000_000, 500_000
"""Bytes, and lists and tables, of JSON that is read: Whisper's tokenizer has 2.5 MB and 50,000."""

TABLES = (
    "config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json", "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "normalizer.json", "vocab.json",
)  # fmt: skip
"""JSON that its readers (transformers, mlx-whisper, parakeet-mlx) take only as a table of settings."""

NEEDED = {"tokenizer.json": ("model", "added_tokens")}
"""What a library's reader of a table does not do without."""

NO_CONSTANTS = ("tokenizer.json", "vocab.json")
SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})(\.\w+)")
SHARDS_MAX = 10_000

ZIP_BEGIN = b"PK\x03\x04"
ZIP_SUFFIXES = (".npz", ".pt", ".pth", ".bin")
TORCH_BIN = "pytorch_model"
PICKLED_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""How torch.save began a file before version 1.6: its magic number, pickled."""

SETTLED_S = 2.0
"""A file that changed within this time may change again without a new time stamp: what is found of it is not kept."""

Problem = tuple[FaultKind, str]


def mismatch(name: str) -> Problem:
    """What is said of a file that has not the hash that it should have."""
    return "corrupt", f"{name} does not match its checksum"


class Flaw(Exception):
    """What is wrong with a file: the kind, and a sentence."""

    def __init__(self, kind: FaultKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


def problem(path: Path, name: str) -> Problem | None:
    """What keeps a file from being used, or None where its structure is sound.

    name: its name inside the repository, by which it is judged and which the sentence names
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            return "broken-link", f"{name} is a broken link"
        return (
            ("evicted", f"{name} {darwin.IN_ICLOUD}")
            if darwin.has_placeholder(path)
            else ("missing-file", f"{name} is missing")
        )
    except (OSError, ValueError) as error:
        return _unreadable(name, error)
    if not stat.S_ISREG(status.st_mode):
        return "unreadable", f"{name} is {'a folder' if stat.S_ISDIR(status.st_mode) else 'no regular file'}"
    if darwin.is_evicted(status):
        return "evicted", f"{name} {darwin.IN_ICLOUD}"
    if status.st_size == 0:
        return "empty", f"{name} is empty"
    if not os.access(path, os.R_OK):
        return "unreadable", f"{name} cannot be read: permission denied"
    if time.time() - status.st_mtime < SETTLED_S:
        return _inspect(path, name)
    return _inspected(path, name, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _inspected(path: Path, name: str, _inode: int, _size: int, _mtime_ns: int) -> Problem | None:
    return _inspect(path, name)


def _inspect(path: Path, name: str) -> Problem | None:
    try:
        with darwin.opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            begin = file.read(len(LFS_POINTER))
            file.seek(0)
            if begin == LFS_POINTER:
                return "lfs-pointer", f"{name} is a pointer to a large file, not the file"
            suffix = Path(name).suffix.lower()
            if suffix == ".safetensors":
                _check_safetensors(file, name, size)
            elif suffix == ".bin" and not name.rpartition("/")[2].startswith(TORCH_BIN):
                pass  # anything may be called so
            elif suffix in ZIP_SUFFIXES and not (suffix != ".npz" and begin.startswith(PICKLED_MAGIC)):
                _check_zip(file, name, suffix)
            elif suffix == ".json":
                _check_json(file, name)
    except Flaw as flaw:
        return flaw.kind, flaw.detail
    except OSError as error:
        return _unreadable(name, error)
    return None


def _unreadable(name: str, error: Exception) -> Problem:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return "unreadable", f"{name} cannot be read: {(reason or type(error).__name__).lower()}"


def declared_size(path: Path, name: str) -> int | None:
    """The size in bytes that a file gives itself, be it whole or only its beginning; None where it does not say."""
    if Path(name).suffix.lower() != ".safetensors":
        return None
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    if time.time() - status.st_mtime < SETTLED_S:
        return _declared(path, name)
    return _declared_once(path, name, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _declared_once(path: Path, name: str, _inode: int, _size: int, _mtime_ns: int) -> int | None:
    return _declared(path, name)


def _declared(path: Path, name: str) -> int | None:
    try:
        with darwin.opened(path) as file:
            return _safetensors_size(file, name, os.fstat(file.fileno()).st_size)
    except (OSError, Flaw):
        return None


def _check_safetensors(file: BinaryIO, name: str, size: int) -> None:
    declared = _safetensors_size(file, name, size)
    if size < declared:
        raise Flaw("truncated", f"{name} is cut short: {of(size, declared)}")
    if size > declared:
        raise Flaw("truncated", f"{name} is {amount(size - declared)} longer than its header says")


def _safetensors_size(file: BinaryIO, name: str, size: int) -> int:
    """8 bytes, a header of that length, and as many bytes of tensors as its largest offset. Raises Flaw."""
    length, tensors = tensors_in(file, name, size)
    try:
        ends = [tensor["data_offsets"][1] for key, tensor in tensors.items() if key != "__metadata__"]
        if not all(isinstance(end, int) and end >= 0 for end in ends):
            raise TypeError
    except (TypeError, KeyError, IndexError):
        raise Flaw("corrupt", f"{name} has an unreadable header") from None
    return length + max(ends, default=0)


def tensors_in(file: BinaryIO, name: str, size: int) -> tuple[int, dict[str, Any]]:
    """Where the tensors of a safetensors file begin, in bytes, and what its header says of each. Raises Flaw, OSError.

    size: of the file
    """
    begin = file.read(8)
    if len(begin) < 8:
        raise Flaw("truncated", f"{name} is cut short: {amount(size)}")
    length: int = struct.unpack("<Q", begin)[0]
    if not 2 <= length <= SAFETENSORS_HEADER_MAX:
        raise Flaw("corrupt", f"{name} does not begin as a safetensors file does")
    header = file.read(min(length, HEADER_MAX))
    if not header.lstrip().startswith(b"{"):
        raise Flaw("corrupt", f"{name} does not begin as a safetensors file does")
    if length > HEADER_MAX or header.count(b"{") > TENSORS_MAX:
        raise Flaw("corrupt", f"{name} has a header of {amount(length)}: no model has so many tensors")
    if len(header) < length:
        raise Flaw("truncated", f"{name} is cut short within its header: {amount(size)}")
    try:
        tensors = json.loads(header)
    except (ValueError, RecursionError):
        tensors = None
    if not isinstance(tensors, dict):
        raise Flaw("corrupt", f"{name} has an unreadable header")
    return 8 + length, tensors


class _Bounded:
    """A file of which zipfile reads no directory that would take it seconds: it reads that at once, and whole."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        if count > DIRECTORY_MAX:
            raise Flaw("corrupt", f"{self._name} has a directory of {amount(count)}: no model has so many parts")
        return self._file.read(count)


def _check_zip(file: BinaryIO, name: str, suffix: str) -> None:
    """The directory stands at the end of a zip archive, so a file that was cut short has none."""
    kind = "numpy archive" if suffix == ".npz" else "PyTorch checkpoint"
    if not file.read(len(ZIP_BEGIN)).startswith(ZIP_BEGIN):
        raise Flaw("corrupt", f"{name} does not begin as a {kind} does")
    try:
        with zipfile.ZipFile(cast(BinaryIO, _Bounded(file, name))) as archive:
            members = archive.infolist()
            directory = archive.start_dir
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RecursionError, struct.error):
        raise Flaw("truncated", f"{name} is cut short: the directory at its end is missing") from None
    # Offsets that point elsewhere: bytes were lost or inserted in the middle.
    if not members or any(member.header_offset + member.compress_size > directory for member in members):
        raise Flaw("truncated", f"{name} is not as long as its directory says")
    if any(member.header_offset < 0 for member in members) or members[0].header_offset != 0:
        raise Flaw("truncated", f"{name} is not as long as its directory says")
    if suffix != ".npz" and not any(member.filename.endswith("data.pkl") for member in members):
        raise Flaw("corrupt", f"{name} is a zip archive but no {kind}")


def _check_json(file: BinaryIO, name: str) -> None:
    """JSON as the libraries read it: `json.loads` of UTF-8 text without a mark at its beginning. Raises Flaw."""
    data = file.read(JSON_MAX + 1)
    if len(data) > JSON_MAX or data.count(b"[") + data.count(b"{") > JSON_PARTS_MAX:
        raise Flaw("corrupt", f"{name} is larger than any model's")
    if data.startswith(codecs.BOM_UTF8):
        raise Flaw("corrupt", f"{name} is not valid JSON for libraries: it begins with a byte order mark")
    base = name.rpartition("/")[2]
    # tokenizer.json is also read by a library in Rust, to which these are no numbers.
    constant = _no_constant if base in NO_CONSTANTS else None
    try:
        found = json.loads(data.decode(), parse_constant=constant)
    except UnicodeDecodeError:
        raise Flaw("corrupt", f"{name} is not valid JSON: it is not UTF-8 text") from None
    except (ValueError, RecursionError):
        raise Flaw("corrupt", f"{name} is not valid JSON") from None
    if base in TABLES and not isinstance(found, dict):
        raise Flaw("corrupt", f"{name} holds no settings by name")
    if lacking := next((key for key in NEEDED.get(base, ()) if found.get(key) in (None, {})), ""):
        raise Flaw("corrupt", f'{name} has no "{lacking}", without which it is not read')
    if base == "generation_config.json" and not found:
        raise Flaw("corrupt", f"{name} holds no settings")
    if base.endswith(INDEX):
        _shards(found, name)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)


def shards(index: Path) -> tuple[str, ...]:
    """The files with a model's weights that an index names; none where it cannot be used. Never raises."""
    try:
        with darwin.opened(index) as file:
            return _shards(json.loads(file.read(JSON_MAX)), index.name)
    except (OSError, ValueError, RecursionError, Flaw):
        return ()


def _shards(found: Any, name: str) -> tuple[str, ...]:
    """As transformers 5 `get_checkpoint_shard_files` reads an index; and of numbered shards all must be in it."""
    named = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(named, dict) or not named or not all(isinstance(shard, str) for shard in named.values()):
        raise Flaw("corrupt", f"{name} names no shards")
    if not isinstance(found.get("metadata"), dict):
        raise Flaw("corrupt", f'{name} has no "metadata", without which it is not read')
    shards = sorted(set(named.values()))
    if unsafe := next((shard for shard in shards if not is_safe_name(shard)), None):
        raise Flaw("escape", f"{name} names {one_line(unsafe)}, outside its folder")
    if numbered := SHARD.fullmatch(shards[0]):
        begin, count, end = numbered[1], numbered[3], numbered[4]
        for number in range(1, min(int(count), SHARDS_MAX) + 1):
            if (shard := f"{begin}-{number:05}-of-{count}{end}") not in named.values():
                raise Flaw("corrupt", f"{one_line(shard)} is not listed in {name}")
    return tuple(shards)
