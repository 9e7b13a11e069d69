"""Files that are read by their names, where something else has the name: none is waited for, and none is read whole.

Pipes nobody writes to, sockets, folders, and files of a gigabyte that take no room on a disk.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from documents import build, clip

from backends import catalogue
from speedtest_tui.core import disk, locations, settings
from speedtest_tui.core.accuracy import corpus, reference
from speedtest_tui.core.download import publish
from speedtest_tui.core.errors import UserError, kept_traceback
from speedtest_tui.core.models import configs, own, remembered
from speedtest_tui.core.models.status import Verification
from speedtest_tui.core.repair import plan_cache
from speedtest_tui.core.sessions import index, store

pytestmark = pytest.mark.usefixtures("places")

LIMIT_S = 20.0
"""Far more than any of it takes: what waits for a pipe waits for ever."""

COMMIT = "0123456789" * 4


def fifo(path: Path) -> None:
    os.mkfifo(path)


def bound(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def vast(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2 << 30)


KINDS: dict[str, Callable[[Path], None]] = {"pipe": fifo, "socket": bound, "folder": Path.mkdir, "vast": vast}


def within_limit(read: Callable[[], object]) -> object:
    """What a call returns, or the UserError or OSError that it raises; fails where it does not end."""
    answer: list[object] = []

    def run() -> None:
        try:
            answer.append(read())
        except BaseException as error:
            answer.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    assert answer, "it waits for ever"
    if isinstance(answer[0], BaseException) and not isinstance(answer[0], UserError | OSError):
        raise answer[0]
    return answer[0]


@pytest.fixture(params=KINDS)
def put(request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    """Puts the thing in place of a file."""

    def placed(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        KINDS[request.param](path)
        return path

    return placed


Put = Callable[[Path], Path]


def test_what_reads_plain_files_refuses_the_rest_and_leaves_nothing_open(put: Put, tmp_path: Path) -> None:
    path = put(tmp_path / "file")
    before = len(list(Path("/dev/fd").iterdir()))
    config = put(tmp_path / "config.json")
    for _ in range(5):
        assert isinstance(within_limit(lambda: disk.read_plain(path, 1000)), OSError)
        assert isinstance(within_limit(lambda: catalogue.read_config(config.parent)), OSError)
    assert len(list(Path("/dev/fd").iterdir())) <= before  # another thread's may close meanwhile


def test_settings_are_named_and_left_alone(put: Put) -> None:
    path = put(locations.config_file())
    inode = path.lstat().st_ino
    found = within_limit(settings.load)
    assert isinstance(found, settings.Reading)
    assert (found.settings, found.writable, len(found.problems)) == (settings.Settings(), False, 1)
    assert str(path) in found.problems[0]
    assert isinstance(within_limit(lambda: settings.save(replace(found.settings, size="tiny"))), OSError)
    assert path.lstat().st_ino == inode


@pytest.mark.parametrize("file", [locations.checksums_file, locations.verifications_file])
def test_results_of_checks_are_forgotten_and_kept_again(put: Put, file: Callable[[], Path], tmp_path: Path) -> None:
    put(file())
    (tmp_path / "weights").write_bytes(b"12345")
    status = (tmp_path / "weights").stat()
    hashed = remembered.Hashed(status.st_size, status.st_mtime_ns, "d" * 64, False)
    good = Verification("ok", "loads and transcribes", "/models/a", 1.25, "f" * 64, "2026-11-20T12:00:00+00:00")
    assert within_limit(lambda: remembered.verdict(tmp_path / "weights")) is None
    assert within_limit(lambda: remembered.recall("a", "/models/a", "f" * 64)) is None
    assert within_limit(lambda: remembered.remember_hashes([(tmp_path / "weights", hashed)])) is None
    assert within_limit(lambda: remembered.remember("a", good)) is None
    assert remembered.verdict(tmp_path / "weights") == "corrupt"
    assert remembered.recall("a", "/models/a", "f" * 64) == good
    assert file().with_name(f"{file().stem}.damaged-1.json").exists()


def test_the_index_of_sessions_is_done_without(put: Put) -> None:
    name = store.save(build(), clip()).name
    put(locations.sessions_index())
    assert within_limit(lambda: [one.name for one in index.summaries()]) == [name]


def test_a_crash_is_reported_in_any_case(put: Put) -> None:
    put(locations.crash_log())
    assert "please report it" in str(within_limit(kept_traceback))


def test_models_settings_are_not_known(put: Put, tmp_path: Path) -> None:
    assert within_limit(lambda: catalogue.folder_config(put(tmp_path / "config.json").parent)) == {}
    assert within_limit(lambda: configs.shapes_in(put(tmp_path / "model.safetensors"))) in ({}, None)
    put(locations.converted_folders()[0] / "mine" / "conversion.json")
    put(locations.converted_folders()[0] / "mine" / "config.json")
    assert within_limit(own.converted_models) == ()


def test_refs_are_written_anew(put: Put, tmp_path: Path) -> None:
    ref = put(tmp_path / "refs" / "main")
    within_limit(lambda: plan_cache._begun(ref))
    refused = within_limit(lambda: publish.write_ref(tmp_path, "main", COMMIT))
    if ref.is_dir():
        assert isinstance(refused, OSError)
    else:
        assert (refused, ref.read_text()) == (None, COMMIT)


@pytest.mark.parametrize("name", ["a.txt", "a.srt", "a.wav.txt", "x.trans.txt"])
def test_texts_beside_audio_cost_no_other_clip(put: Put, name: str, tmp_path: Path) -> None:
    for name_of_clip in ("a", "b"):
        (tmp_path / f"{name_of_clip}.wav").write_bytes(b"RIFF")
    (tmp_path / "b.txt").write_text("hello")
    put(tmp_path / name)
    found = within_limit(lambda: corpus.read(tmp_path))
    assert isinstance(found, corpus.Corpus)
    assert ("b", "hello") in [(one.key, one.text) for one in found.utterances]
    assert isinstance(within_limit(lambda: reference.from_file(tmp_path / name)), UserError)


@pytest.mark.parametrize("end", corpus.MANIFESTS)
def test_manifests_are_refused_in_a_sentence(put: Put, end: str, tmp_path: Path) -> None:
    refused = within_limit(lambda: corpus.read(put(tmp_path / f"m{end}")))
    assert isinstance(refused, UserError)
    assert f"m{end}" in refused.what
