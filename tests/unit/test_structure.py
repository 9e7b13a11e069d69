"""Files that are whole, cut short, swapped or garbled, judged by their headers."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from caches import archive, safetensors

from speedtest_tui.core.format import amount, of
from speedtest_tui.core.models import structure

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
OLD_CHECKPOINT = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + b"rest"


def judge(folder: Path, name: str, data: bytes) -> structure.Problem | None:
    path = folder / "blob-without-suffix"
    path.write_bytes(data)
    return structure.problem(path, name)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("model.safetensors", safetensors()),
        ("model.safetensors", safetensors(0)),
        ("model.safetensors", struct.pack("<Q", 24) + b'{"__metadata__":{"a":1}}'),
        ("weights.npz", archive("a.npy", "b.npy")),
        ("tiny.pt", archive("archive/data.pkl", "archive/data/0")),
        ("tiny.pt", OLD_CHECKPOINT),
        ("config.json", b'{"a": 1}\n'),
        ("vocab.txt", b"\0anything"),
    ],
)
def test_what_is_sound(tmp_path: Path, name: str, data: bytes) -> None:
    assert judge(tmp_path, name, data) is None


@pytest.mark.parametrize(
    ("name", "data", "kind", "said"),
    [
        ("model.safetensors", safetensors()[:-1], "truncated", "model.safetensors is cut short: "),
        ("model.safetensors", safetensors()[:20], "truncated", "cut short within its header"),
        ("model.safetensors", safetensors()[:3], "truncated", "cut short"),
        ("model.safetensors", safetensors() + b"0123", "truncated", "is 4 bytes longer than its header says"),
        ("model.safetensors", bytes(100), "corrupt", "does not begin as a safetensors file does"),
        ("model.safetensors", b"\xff" * 100, "corrupt", "does not begin as a safetensors file does"),
        ("model.safetensors", struct.pack("<Q", 4) + b"{no}", "corrupt", "has an unreadable header"),
        ("model.safetensors", struct.pack("<Q", 7) + b'{"a":1}', "corrupt", "has an unreadable header"),
        ("model.safetensors", b"<html>404 Not Found</html>", "corrupt", "does not begin as"),
        ("weights.npz", archive("a.npy")[:-30], "truncated", "weights.npz is cut short"),
        ("weights.npz", b"PK\x05\x06" + bytes(18), "corrupt", "does not begin as a numpy archive does"),
        ("weights.npz", bytes(500), "corrupt", "does not begin as a numpy archive does"),
        ("weights.npz", archive("a.npy", "b.npy")[:4] + archive("a.npy", "b.npy")[100:], "truncated", "directory"),
        ("tiny.pt", archive("x/data.pkl")[:100], "truncated", "tiny.pt is cut short"),
        ("tiny.pt", archive("readme"), "corrupt", "is a zip archive but no PyTorch checkpoint"),
        ("tiny.pt", b"nothing of the kind", "corrupt", "does not begin as a PyTorch checkpoint does"),
        ("config.json", b'{"a": ', "corrupt", "config.json is not valid JSON"),
        ("config.json", b"\xff\xfe", "corrupt", "config.json is not valid JSON"),
        pytest.param("config.json", b"[" * 100_000, "corrupt", "config.json is not valid JSON", id="deep"),
        ("model.safetensors", POINTER, "lfs-pointer", "is a pointer to a large file, not the file"),
        ("config.json", POINTER, "lfs-pointer", "config.json is a pointer"),
        ("tiny.pt", b"", "empty", "tiny.pt is empty"),
    ],
)
def test_what_is_not(tmp_path: Path, name: str, data: bytes, kind: str, said: str) -> None:
    problem = judge(tmp_path, name, data)
    assert problem is not None
    assert problem[0] == kind
    assert said in problem[1]


def many(count: int) -> bytes:
    """A header of so many tensors."""
    one = '"%d":{"dtype":"U8","shape":[],"data_offsets":[0,0]}'
    return ("{" + ",".join(one % number for number in range(count)) + "}").encode()


def directory(count: int) -> bytes:
    """A zip archive of so many empty members, by hand: zipfile would take its time."""
    central = b"".join(b"PK\x01\x02" + bytes(24) + b"\x07\0" + bytes(16) + b"%07d" % number for number in range(count))
    begin = b"PK\x03\x04" + bytes(26)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, len(central), len(begin), 0)
    return begin + central + end


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("m.safetensors", lambda: struct.pack("<Q", 54_999_998) + b"{" + bytes(54_999_999), "has a header of 55.0 MB"),
        ("m.safetensors", lambda: struct.pack("<Q", len(many(120_000))) + many(120_000), "so many tensors"),
        ("w.npz", lambda: directory(100_000), "w.npz has a directory of 5.3 MB: no model has so many parts"),
        ("tiny.pt", lambda: directory(100_000), "tiny.pt has a directory of 5.3 MB"),
        ("pytorch_model.bin", lambda: directory(100_000), "so many parts"),
        (
            "tokenizer.json",
            lambda: b'{"a": [' + b"[]," * 600_000 + b"[]]}",
            "is larger than any model's",
        ),
        ("config.json", lambda: b'{"a": "' + b"x" * 17_000_000 + b'"}', "config.json is larger than any model's"),
    ],
)
def test_what_would_take_seconds_to_read(tmp_path: Path, name: str, make: Callable[[], bytes], said: str) -> None:
    problem = judge(tmp_path, name, make())
    assert problem is not None and problem[0] == "corrupt" and said in problem[1]


def test_real_models_are_far_from_these_limits(tmp_path: Path) -> None:
    header = many(20_000)
    assert judge(tmp_path, "m.safetensors", struct.pack("<Q", len(header)) + header) is None
    assert judge(tmp_path, "w.npz", directory(20_000)) is None


def test_what_is_no_file(tmp_path: Path) -> None:
    assert structure.problem(tmp_path / "none", "a.json") == ("missing-file", "a.json is missing")
    (tmp_path / "link").symlink_to("nowhere")
    assert structure.problem(tmp_path / "link", "a.json") == ("broken-link", "a.json is a broken link")
    assert structure.problem(tmp_path, "a.json") == ("unreadable", "a.json is a folder")
    os.mkfifo(tmp_path / "pipe")
    assert structure.problem(tmp_path / "pipe", "a.json") == ("unreadable", "a.json is no regular file")


def test_a_changed_file_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")
    os.utime(path, (1000, 1000))
    assert structure.problem(path, "a.json") is None
    path.write_text("{]")
    os.utime(path, (2000, 2000))
    assert structure.problem(path, "a.json") is not None
    # Just written: the same size and, on some file systems, the same time stamp prove nothing.
    path.write_text("{}")
    assert structure.problem(path, "a.json") is None
    status = path.stat()
    path.write_text("[}")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert structure.problem(path, "a.json") is not None


def test_a_beginning_tells_the_whole_size(tmp_path: Path) -> None:
    whole = safetensors(10_000)
    path = tmp_path / "etag.incomplete"
    path.write_bytes(whole[:500])
    assert structure.declared_size(path, "model.safetensors") == len(whole)
    assert structure.declared_size(path, "weights.npz") is None
    path.write_bytes(whole[:10])
    assert structure.declared_size(path, "model.safetensors") is None
    assert structure.declared_size(tmp_path / "none", "model.safetensors") is None


def test_headers_that_lie(tmp_path: Path) -> None:
    for offsets in ([0, -1], [0, "9"], [], None, {}):
        header = json.dumps({"t": {"dtype": "U8", "shape": [1], "data_offsets": offsets}}).encode()
        problem = judge(tmp_path, "m.safetensors", struct.pack("<Q", len(header)) + header)
        assert problem is not None, offsets
        assert problem[0] == "corrupt"


def test_amounts() -> None:
    assert [amount(n) for n in (0, 12, 3_100, 483_000_000, 1_620_000_000)] == [
        "0 bytes", "12 bytes", "3.1 kB", "483 MB", "1.62 GB",
    ]  # fmt: skip
    assert of(37_000_000, 483_000_000) == "37.0 of 483 MB"
    assert of(0, 483_000_000) == "0 of 483 MB"
    assert of(482_999_999, 483_000_000) == "482,999,999 of 483,000,000 bytes"
    assert of(37_000_000, None) == "37.0 MB so far"
