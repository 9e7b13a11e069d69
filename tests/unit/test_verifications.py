"""What came of checks outlives the program, other processes' writing, and a file that was damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from speedtest_tui.core import disk as atomic
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.locations import verifications_file
from speedtest_tui.core.models.status import Verification
from speedtest_tui.core.models.verifications import recall, remember

pytestmark = pytest.mark.usefixtures("places")

GOOD = Verification(True, "loads and transcribes", "/models/a", 1.25, "f" * 64, "2026-11-20T12:00:00+00:00")
BAD = Verification(False, "does not load: ValueError: no", "/models/b", 0.0, "e" * 64, "2026-11-20T12:00:01+00:00")


def others() -> list[str]:
    """What lies beside the file, locks apart."""
    file = verifications_file()
    return sorted(path.name for path in file.parent.iterdir() if path != file and not path.name.endswith(".lock"))


def test_nothing_is_known_at_first(places: Path) -> None:
    assert recall("a", "/models/a", "f") is None
    assert not verifications_file().exists()


def test_remembered_word_for_word() -> None:
    remember("mlx-whisper", GOOD)
    remember("transformers", BAD)
    assert recall("mlx-whisper", Path("/models/a"), GOOD.fingerprint) == GOOD
    assert recall("transformers", "/models/b", BAD.fingerprint) == BAD
    assert others() == []


def test_stale_once_the_fingerprint_differs() -> None:
    remember("mlx-whisper", GOOD)
    assert recall("mlx-whisper", "/models/a", "0" * 64) == replace(GOOD, stale=True)
    # That it was looked at with another fingerprint changes nothing.
    assert recall("mlx-whisper", "/models/a", GOOD.fingerprint) == GOOD


def test_a_stale_one_is_fresh_again_after_another_check() -> None:
    remember("mlx-whisper", replace(GOOD, stale=True))
    assert recall("mlx-whisper", "/models/a", GOOD.fingerprint) == GOOD


def test_the_newest_counts() -> None:
    remember("mlx-whisper", GOOD)
    remember("mlx-whisper", replace(BAD, path=GOOD.path))
    assert recall("mlx-whisper", GOOD.path, BAD.fingerprint) == replace(BAD, path=GOOD.path)


def test_by_backend_and_by_path() -> None:
    remember("mlx-whisper", GOOD)
    assert recall("transformers", GOOD.path, GOOD.fingerprint) is None
    assert recall("mlx-whisper", "/models/b", GOOD.fingerprint) is None


def test_a_model_without_a_path() -> None:
    remember("pocketsphinx", replace(GOOD, path=""))
    assert recall("pocketsphinx", None, GOOD.fingerprint) == replace(GOOD, path="")


@pytest.mark.parametrize("path", ["/modèles/音 a", "/models/\udcff", "/models/\n"])
def test_paths_of_any_bytes(path: str) -> None:
    remember("mlx-whisper", replace(GOOD, path=path))
    assert recall("mlx-whisper", path, GOOD.fingerprint) == replace(GOOD, path=path)


DAMAGED = {
    "half": b'{"schema": 1, "verifications": {"mlx-whisper": {"/models/a": {"ok": tr',
    "empty": b"",
    "zeros": b"\0" * 100,
    "no text": b"\xff\xfe\x00{",
    "a list": b"[1, 2]",
    "a later version": b'{"schema": 2, "verifications": {}}',
    "odd inside": b'{"schema": 1, "verifications": {"mlx-whisper": [1]}}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_kept_aside(damage: str) -> None:
    file = verifications_file()
    file.parent.mkdir(parents=True)
    file.write_bytes(DAMAGED[damage])
    assert recall("mlx-whisper", GOOD.path, GOOD.fingerprint) is None
    assert file.read_bytes() == DAMAGED[damage]
    remember("mlx-whisper", GOOD)
    assert recall("mlx-whisper", GOOD.path, GOOD.fingerprint) == GOOD
    assert others() == ["verifications.damaged-1.json"]
    assert (file.parent / "verifications.damaged-1.json").read_bytes() == DAMAGED[damage]


def test_damaged_twice() -> None:
    file = verifications_file()
    file.parent.mkdir(parents=True)
    for content in ("one", "two"):
        file.write_text(content)
        remember("mlx-whisper", GOOD)
    assert [(file.parent / name).read_text() for name in others()] == ["one", "two"]


@pytest.mark.parametrize(
    "entry", [None, [], {}, {"ok": "yes"}, {**GOOD.__dict__, "seconds": "long"}, {**GOOD.__dict__, "fingerprint": None}]
)
def test_one_odd_entry_costs_itself_only(entry: object) -> None:
    remember("mlx-whisper", GOOD)
    file = verifications_file()
    content = json.loads(file.read_text())
    content["verifications"]["mlx-whisper"]["/models/b"] = entry
    file.write_text(json.dumps(content))
    assert recall("mlx-whisper", "/models/b", BAD.fingerprint) is None
    assert recall("mlx-whisper", GOOD.path, GOOD.fingerprint) == GOOD
    remember("mlx-whisper", BAD)
    assert recall("mlx-whisper", "/models/b", BAD.fingerprint) == BAD
    assert others() == []


def test_an_interrupted_write_leaves_the_old(monkeypatch: pytest.MonkeyPatch) -> None:
    remember("mlx-whisper", GOOD)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            remember("mlx-whisper", BAD)
    assert recall("mlx-whisper", GOOD.path, GOOD.fingerprint) == GOOD
    assert others() == []


def test_processes_at_once_lose_nothing() -> None:
    code = (
        "import sys\n"
        "from speedtest_tui.core.models.status import Verification\n"
        "from speedtest_tui.core.models.verifications import remember\n"
        "for number in range(20):\n"
        "    remember('b', Verification(True, '', f'/{sys.argv[1]}/{number}', 0.0, 'f', ''))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert all(recall("b", f"/{name}/{number}", "f") for name in "abc" for number in range(20))
    assert others() == []


def test_a_place_that_cannot_be_written(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (places / "file").write_text("in the way")
    monkeypatch.setenv("SPEEDTEST_DATA_DIR", str(places / "file"))
    assert recall("mlx-whisper", GOOD.path, GOOD.fingerprint) is None
    with pytest.raises(UserError, match="cannot be kept"):
        remember("mlx-whisper", GOOD)


def test_a_lock_that_is_never_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    remember("mlx-whisper", GOOD)
    monkeypatch.setattr(atomic, "LOCK_SECONDS", 0.2)
    file = verifications_file()
    with FileLock(file.with_name(f".{file.name}.lock")), pytest.raises(UserError, match="has held its lock"):
        remember("mlx-whisper", BAD)
    assert recall("mlx-whisper", GOOD.path, GOOD.fingerprint) == GOOD
