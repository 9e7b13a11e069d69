"""What checks found outlives the program, other processes' writing, and damage, and is not believed for too long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from filelock import FileLock

from speedtest_tui.core import disk, locations
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models.remembered import Hashed, recall, remember, remember_hashes, verdict
from speedtest_tui.core.models.status import Verification

pytestmark = pytest.mark.usefixtures("places")

GOOD = Verification("ok", "loads and transcribes", "/models/a", 1.25, "f" * 64, "2026-11-20T12:00:00+00:00")
BAD = Verification("failed", "does not load: ValueError: no", "/models/b", 0.0, "e" * 64, "2026-11-20T12:00:01+00:00")


def hashed(path: Path, ok: bool) -> tuple[Path, Hashed]:
    status = path.stat()
    return path, Hashed(status.st_size, status.st_mtime_ns, "d" * 64, ok)


@pytest.fixture
def file(places: Path) -> Path:
    path = places / "weights"
    path.write_bytes(b"12345")
    return path


@dataclass(frozen=True)
class Kept:
    """One of the two stores: its file, and how to keep a result in it and find it again."""

    file: Callable[[], Path]
    keep: Callable[[], None]
    is_known: Callable[[], bool]

    def others(self) -> list[Path]:
        """What lies beside the file, locks apart."""
        file = self.file()
        return sorted(path for path in file.parent.iterdir() if path != file and path.suffix != ".lock")


@pytest.fixture(params=["hashes", "verifications"])
def kept(file: Path, request: pytest.FixtureRequest) -> Kept:
    if request.param == "hashes":
        return Kept(
            locations.checksums_file,
            lambda: remember_hashes([hashed(file, False)]),
            lambda: verdict(file) == "corrupt",
        )
    return Kept(
        locations.verifications_file,
        lambda: remember("mlx-whisper", GOOD),
        lambda: recall("mlx-whisper", GOOD.path, GOOD.fingerprint) == GOOD,
    )


def test_nothing_is_known_at_first(kept: Kept, file: Path) -> None:
    assert not kept.is_known()
    assert verdict(file.with_name("missing")) is None
    assert not kept.file().exists()
    kept.keep()
    assert kept.is_known()
    assert kept.others() == []


DAMAGED = {
    "half": b'{"schema": 2, "results": {"mlx-whisper /models/a": {"outcome": "o',
    "empty": b"",
    "zeros": b"\0" * 100,
    "no text": b"\xff\xfe\x00{",
    "a list": b"[1, 2]",
    "null": b"null",
    "an earlier version": b'{"schema": 1, "files": {}, "verifications": {}}',
    "a later version": b'{"schema": 3, "results": {}}',
    "odd inside": b'{"schema": 2, "results": [1]}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_kept_aside(kept: Kept, damage: str) -> None:
    file = kept.file()
    file.parent.mkdir(parents=True)
    file.write_bytes(DAMAGED[damage])
    assert not kept.is_known()
    assert file.read_bytes() == DAMAGED[damage]
    kept.keep()
    assert kept.is_known()
    file.write_text("two")
    kept.keep()
    assert [path.name for path in kept.others()] == [f"{file.stem}.damaged-{number}.json" for number in (1, 2)]
    assert [path.read_bytes() for path in kept.others()] == [DAMAGED[damage], b"two"]


ODD = (
    None, [], 1, {}, {"outcome": "perhaps"}, {**GOOD.__dict__, "seconds": "long"},
    {**GOOD.__dict__, "fingerprint": None},
    {"size": 1, "mtime_ns": 1, "digest": 1, "ok": 1}, {"size": "1"},
)  # fmt: skip


def test_an_odd_entry_costs_itself_only(kept: Kept) -> None:
    kept.keep()
    content = json.loads(kept.file().read_text())
    content["results"] |= {f"mlx-whisper /odd/{number}": entry for number, entry in enumerate(ODD)}
    kept.file().write_text(json.dumps(content))
    assert kept.is_known()
    assert all(recall("mlx-whisper", f"/odd/{number}", "f") is None for number in range(len(ODD)))
    kept.keep()
    assert kept.is_known()
    assert kept.others() == []


def test_an_interrupted_write_leaves_the_old(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keep()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            kept.keep()
    assert kept.is_known()
    assert kept.others() == []


def test_processes_at_once_lose_nothing(kept: Kept, places: Path) -> None:
    code = (
        "import sys\n"
        "from speedtest_tui.core.models.remembered import remember\n"
        "from speedtest_tui.core.models.status import Verification\n"
        "for number in range(20):\n"
        "    remember('b', Verification('ok', '', f'/{sys.argv[1]}/{number}', 0.0, 'f', ''))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert all(recall("b", f"/{name}/{number}", "f") for name in "abc" for number in range(20))


def test_a_file_that_cannot_be_written_or_locked_is_one_line(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keep()
    monkeypatch.setattr(disk, "LOCK_SECONDS", 0.05)
    with FileLock(kept.file().with_name(f".{kept.file().name}.lock")), pytest.raises(UserError, match="held its lock"):
        kept.keep()
    assert kept.is_known()
    monkeypatch.setenv("SPEEDTEST_DATA_DIR", str(kept.file()))
    assert not kept.is_known()
    with pytest.raises(UserError, match="cannot be kept"):
        kept.keep()


@pytest.mark.parametrize(("ok", "said"), [(True, "ok"), (False, "corrupt")])
def test_links_share_the_verdict_of_their_payload(file: Path, ok: bool, said: str) -> None:
    link = file.with_name("link")
    link.symlink_to(file)
    remember_hashes([hashed(link, ok)])
    assert verdict(file) == verdict(link) == said


def test_another_size_or_time_ends_a_verdict(file: Path) -> None:
    remember_hashes([hashed(file, False)])
    before = file.stat()
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert verdict(file) is None
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert verdict(file) == "corrupt"
    file.write_bytes(b"123456")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert verdict(file) is None


def test_a_later_verdict_replaces_an_earlier_one_others_stay_and_those_of_removed_files_go(file: Path) -> None:
    other, gone = file.with_name("other"), file.with_name("gone")
    other.write_bytes(b"1")
    gone.write_bytes(b"1")
    remember_hashes([hashed(file, False), hashed(other, True), hashed(gone, True)])
    gone.unlink()
    remember_hashes([hashed(file, True)])
    assert (verdict(file), verdict(other)) == ("ok", "ok")
    assert set(json.loads(locations.checksums_file().read_text())["results"]) == {str(file), str(other)}


@pytest.mark.parametrize("found", [GOOD, BAD, replace(GOOD, outcome="gave-up"), replace(GOOD, path="")])
@pytest.mark.parametrize("path", ["/modèles/音 a", "/models/\udcff", "/models/\n", None])
def test_a_verification_is_remembered_word_for_word_by_backend_and_path(found: Verification, path: str | None) -> None:
    found = replace(found, path=path or "")
    remember("mlx-whisper", found)
    assert recall("mlx-whisper", path and Path(path), found.fingerprint) == found
    assert recall("transformers", path, found.fingerprint) is None
    assert recall("mlx-whisper", "/elsewhere", found.fingerprint) is None


def test_a_verification_is_stale_once_the_fingerprint_differs_and_the_newest_counts() -> None:
    remember("mlx-whisper", replace(GOOD, stale=True))
    assert recall("mlx-whisper", "/models/a", "0" * 64) == replace(GOOD, stale=True)
    # That it was looked up with another fingerprint changes nothing.
    assert recall("mlx-whisper", "/models/a", GOOD.fingerprint) == GOOD
    remember("mlx-whisper", replace(BAD, path=GOOD.path))
    assert recall("mlx-whisper", GOOD.path, BAD.fingerprint) == replace(BAD, path=GOOD.path)
