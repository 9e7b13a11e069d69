"""Unpacking the embedded models: checked on every use, whole or not there, one builder at a time."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.embedded import layouts
from speedtest_tui.core import disk as atomic
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models import builtin as materialise

LAYOUT = "nano/mlx"
WEIGHTS = "weights.safetensors"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with one whole layout; not to be changed."""
    cache = tmp_path_factory.mktemp("built")
    materialise.materialise(LAYOUT, cache)
    return cache


@pytest.fixture
def cache(built: Path, tmp_path: Path) -> Path:
    """A copy of `built` to be damaged."""
    return Path(shutil.copytree(built, tmp_path / "cache"))


def leftovers(cache: Path, layout: str = LAYOUT) -> list[str]:
    """Whatever lies beside the layout, its lock excepted."""
    folder = materialise.folder_of(layout, cache)
    expected = (folder.name, f".{folder.name}.lock")
    return sorted(path.name for path in folder.parent.iterdir() if path.name not in expected)


def test_folder_is_named_after_the_source(built: Path) -> None:
    found = materialise.find(LAYOUT, built)
    assert found == built / "embedded" / f"nano-{layouts.source_sha256(LAYOUT)[:12]}" / "mlx"
    assert found.is_absolute()
    assert {path.name for path in found.iterdir()} == {*layouts.files(LAYOUT), "manifest.json"}
    manifest = json.loads((found / "manifest.json").read_text())
    assert (manifest["layout"], manifest["source_sha256"]) == ("mlx", layouts.source_sha256(LAYOUT))
    assert manifest["files"][WEIGHTS]["bytes"] == (found / WEIGHTS).stat().st_size
    assert not leftovers(built)


def test_folders_of_earlier_versions_stay_whole(built: Path) -> None:
    """Where a layout lies and what its manifest says is known to programs of the past and of the future."""
    folder = materialise.folder_of(LAYOUT, built)
    assert folder.parent.name == "nano-4f08fdfeae6c"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {key: manifest[key] for key in ("layout", "format")} == {"layout": "mlx", "format": 1}
    assert list(manifest) == ["layout", "format", "source_sha256", "files"]


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
def test_every_layout_is_a_folder_of_its_own(layout: str, tmp_path: Path) -> None:
    model, _, name = layout.partition("/")
    expected = tmp_path / "embedded" / f"{model}-{layouts.source_sha256(layout)[:12]}" / name
    assert materialise.folder_of(layout, tmp_path) == expected


def test_missing_is_none(tmp_path: Path) -> None:
    assert materialise.find(LAYOUT, tmp_path / "nothing") is None
    assert not (tmp_path / "nothing").exists()


def test_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown layout"):
        materialise.find("ggml", tmp_path)
    with pytest.raises(ValueError, match="unknown layout"):
        materialise.materialise("ggml", tmp_path)


def flip_a_byte(folder: Path) -> None:
    with (folder / WEIGHTS).open("r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)[0]
        file.seek(1_000_000)
        file.write(bytes([byte ^ 1]))


def truncate(folder: Path) -> None:
    os.truncate(folder / WEIGHTS, (folder / WEIGHTS).stat().st_size - 1)


def change_manifest(**changed: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**manifest, **changed}))

    return change


def make_manifest_a_folder(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").mkdir()


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def replace_by_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("x")


def replace_by_broken_link(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to("nowhere")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped byte": flip_a_byte,
    "truncated file": truncate,
    "file missing": lambda folder: (folder / WEIGHTS).rename(folder / f".{WEIGHTS}"),
    "file too many": lambda folder: (folder / "weights.npz").write_bytes(b""),
    "manifest missing": lambda folder: (folder / "manifest.json").rename(folder / ".manifest.json"),
    "manifest cut": lambda folder: os.truncate(folder / "manifest.json", 100),
    "manifest no object": lambda folder: (folder / "manifest.json").write_text("[]"),
    "manifest no text": lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe\x00"),
    "manifest a folder": make_manifest_a_folder,
    "manifest lists nothing": change_manifest(files={}),
    "other source": change_manifest(source_sha256="0" * 64),
    "other format": change_manifest(format=layouts.FORMAT + 1),
    "other layout": change_manifest(layout="hf"),
    "folder empty": empty,
    "folder a file": replace_by_file,
    "folder a broken link": replace_by_broken_link,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_mended(damage: str, cache: Path) -> None:
    folder = materialise.folder_of(LAYOUT, cache)
    DAMAGES[damage](folder)
    assert materialise.find(LAYOUT, cache) is None
    assert materialise.materialise(LAYOUT, cache) == folder
    assert materialise.find(LAYOUT, cache) == folder
    assert not leftovers(cache)


def test_finders_litter_is_no_damage(cache: Path) -> None:
    (materialise.folder_of(LAYOUT, cache) / ".DS_Store").write_bytes(b"x")
    assert materialise.find(LAYOUT, cache) is not None


def test_whole_folder_is_not_touched(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "write", lambda *_: pytest.fail("built again"))
    weights = materialise.folder_of(LAYOUT, cache) / WEIGHTS
    before = weights.stat()
    assert materialise.materialise(LAYOUT, cache) == materialise.folder_of(LAYOUT, cache)
    assert (weights.stat().st_ino, weights.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_relative_cache_gives_absolute_folder(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cache.parent)
    assert materialise.find(LAYOUT, Path("cache")) == materialise.folder_of(LAYOUT, cache)


def test_a_process_of_its_own(tmp_path: Path) -> None:
    folder = materialise.unpack_apart(LAYOUT, tmp_path)
    assert folder is not None
    assert folder == materialise.find(LAYOUT, tmp_path)
    cancelled = threading.Event()
    cancelled.set()
    assert materialise.unpack_apart(LAYOUT, tmp_path, cancelled) is None


def test_a_process_of_its_own_says_why_not(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"a file stands where a folder belongs.*: remove it") as caught:
        materialise.unpack_apart(LAYOUT, tmp_path / "file")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_cache(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UserError, match="not writable"):
            materialise.materialise(LAYOUT, tmp_path / "cache")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.EROFS, "not writable"),
        (errno.EACCES, "not writable"),
        (errno.ENOSPC, "the disk is full"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_system_errors_are_one_line(code: int, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, text: str) -> None:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(atomic, "write_text", refuse)
    with pytest.raises(UserError, match=sentence) as caught:
        materialise.materialise(LAYOUT, tmp_path)
    assert "\n" not in str(caught.value)
    assert materialise.find(LAYOUT, tmp_path) is None
    assert not leftovers(tmp_path)


def test_missing_library_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(materialise.UnpackError, match="module torch") as caught:
        materialise.materialise("nano/openai", tmp_path)
    assert "\n" not in str(caught.value)
    assert not leftovers(tmp_path, "nano/openai")


def test_hung_builder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filelock = pytest.importorskip("filelock")
    folder = materialise.folder_of(LAYOUT, tmp_path)
    folder.parent.mkdir(parents=True)
    monkeypatch.setattr(materialise, "LOCK_SECONDS", 0.0)
    with filelock.FileLock(folder.with_name(f".{folder.name}.lock")), pytest.raises(materialise.UnpackError) as caught:
        materialise.materialise(LAYOUT, tmp_path)
    assert "another process" in str(caught.value)


@contextlib.contextmanager
def child(script: str, cache: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a script in which `wait(word)` prints the word and blocks until its stdin has a line."""
    preamble = (
        "import sys\n"
        "from pathlib import Path\n"
        "from backends.embedded import layouts\n"
        "from speedtest_tui.core import disk as atomic\n"
        "from speedtest_tui.core.models import builtin as materialise\n"
        "cache, write = Path(sys.argv[1]), layouts.write\n"
        "def wait(word):\n    print(word, flush=True)\n    sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", preamble + script, str(cache)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_processes_at_once(tmp_path: Path) -> None:
    script = (
        "def counted(layout, folder):\n    print('built', flush=True)\n    return write(layout, folder)\n"
        "layouts.write = counted\n"
        "wait('ready')\n"
        f"print(materialise.materialise({LAYOUT!r}, cache), flush=True)\n"
    )
    with child(script, tmp_path) as one, child(script, tmp_path) as two:
        assert [heard(one), heard(two)] == ["ready", "ready"]
        for process in (one, two):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.stdout.read().split() for process in (one, two) if process.stdout is not None]
        assert [one.wait(), two.wait()] == [0, 0]
    assert sorted(word for words in said for word in words).count("built") == 1
    assert [words[-1] for words in said] == [str(materialise.find(LAYOUT, tmp_path))] * 2
    assert not leftovers(tmp_path)


KILLED_WHILE = {
    "a file is half written": (
        "def half(layout, folder):\n"
        f"    (folder / {WEIGHTS!r}).write_bytes(b'x' * 1000)\n"
        "    wait('now')\n"
        "layouts.write = half\n"
    ),
    "the manifest is not yet there": (
        "def before(layout, folder):\n    names = write(layout, folder)\n    wait('now')\n    return names\n"
        "layouts.write = before\n"
    ),
    "only the rename is missing": "atomic.sync_folder = lambda folder: wait('now')\n",
}


@pytest.mark.parametrize("moment", KILLED_WHILE)
def test_killed_build_leaves_nothing_accepted(moment: str, tmp_path: Path) -> None:
    script = KILLED_WHILE[moment] + f"materialise.materialise({LAYOUT!r}, cache)\n"
    with child(script, tmp_path) as process:
        assert heard(process) == "now"
        process.kill()
        process.wait()
    assert leftovers(tmp_path)  # the kill came in the middle
    assert materialise.find(LAYOUT, tmp_path) is None
    # The dead process holds no lock, and the next one clears away what it left.
    assert materialise.materialise(LAYOUT, tmp_path) == materialise.find(LAYOUT, tmp_path)
    assert not leftovers(tmp_path)
