"""Fixtures for all tests: places of their own, toys for child processes, the nano model unpacked once."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from racing import MARK, TESTS, marked, python_path

from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.audio.decode import demo_clip
from speedtest_tui.core.models.builtin import unpack_apart

Unpack = Callable[[str], Path]

for name in ("COLUMNS", "LINES"):
    os.unsetenv(name)  # readline, which pytest imports, puts them where only children see them
os.environ["MLX_ENABLE_TF32"] = "0"  # which is how an M5 multiplies float32 else
os.environ["OMP_NUM_THREADS"] = "1"  # tests run side by side: more threads of torch would wait for each other, spinning

LONGEST = (
    "test_tools", "test_raw_characters", "test_raw_text", "test_surroundings", "test_systems", "test_backends",
    "test_verify", "test_race_faults", "test_fallback", "test_accepted_files", "test_microphone", "test_command_line",
    "test_embedded", "test_dashboard", "test_recorder_command", "test_finite",
    "test_families", "test_damaged_home", "test_serve_ending", "test_recorder_process", "test_race", "test_orphans",
    "test_sessions_screen", "test_usage", "test_undo", "test_convert_screen", "test_hub_repos", "test_repair",
    "test_race_cancel", "test_repair_command", "test_snapshots", "test_serve", "test_sound", "test_monkey",
)  # fmt: skip
"""Files that take ten seconds and more, longest first."""


NEED_POCKETSPHINX = {
    "test_csv_and_markdown_beside_it", "test_pocketsphinx_runs", "test_the_document",
    "test_a_race_runs_to_its_end_and_is_kept",
    "test_a_reference_gives_an_error_rate", "test_damaged_sessions_are_named_and_skipped",
    "test_several_clips_become_a_list",
    "test_exit_1_where_one_that_was_asked_for_cannot_run", "test_results_that_cannot_be_saved_are_still_printed",
    "test_a_backend_whose_code_fails_is_a_line_and_the_rest_is_done", "test_by_default_the_built_in_models",
    "test_what_was_asked_for_by_name_counts", "test_it_races_against_a_built_in_one", "test_no_proc",
    "test_a_race_in_a_browser",
}  # fmt: skip
"""Tests that race it because it is quick. It has no wheels for some versions of Python: there they are skipped."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: they are handed out whole, and one that came last would keep a single core busy."""
    if find_spec("pocketsphinx") is None:
        for item in items:
            if getattr(item, "originalname", item.name) in NEED_POCKETSPHINX:
                item.add_marker(pytest.mark.skip(reason="pocketsphinx is not installed"))
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(LONGEST)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """What this process computes itself is compared with tight bounds: on the processor. Races run apart."""
    if mx := sys.modules.get("mlx.core"):
        mx.set_default_device(mx.cpu)


@pytest.fixture
def any_name(tmp_path: Path) -> None:
    """Skips where names must be UTF-8, as on APFS."""
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).touch()
    except OSError:
        pytest.skip("this file system refuses names that are no UTF-8")


@pytest.fixture(scope="session", autouse=True)
def untouched() -> Iterator[None]:
    """No test writes into the checkout's own cache of models."""
    cache = TESTS.parent / "models"
    before = sorted(cache.rglob("*"))
    yield
    assert sorted(cache.rglob("*")) == before, "a test has written into models/ of the checkout"


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local cache for the whole session, so that the nano model is unpacked once."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def unpacked(models_dir: Path) -> Unpack:
    """The folder of an embedded layout; "mlx" means "nano/mlx". Made in a process of its own, as the program does."""

    def unpack(layout: str) -> Path:
        model, _, name = layout.rpartition("/")
        folder = unpack_apart(f"{model or 'nano'}/{name}", models_dir)
        assert folder
        return folder

    return unpack


@pytest.fixture(scope="session")
def demo() -> Clip:
    """The bundled clip."""
    return demo_clip()


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test's own: nothing of the user's is read or written. Returns its folder."""
    for name in list(os.environ):
        if name.startswith(("HF_", "HUGGINGFACE_", "XDG_", "SPEEDTEST_")) and name != MARK:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SPEEDTEST_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("SPEEDTEST_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "home").mkdir()
    return tmp_path


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A disk on which downloads of this process find room for so many bytes: the list's one number, which shrinks."""
    import errno

    from speedtest_tui.core.download import incoming as writer

    real, left = writer.write, [1_000_000]

    def write(descriptor: int, data: memoryview) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = real(descriptor, data[: left[0]])
        left[0] -= count
        return count

    monkeypatch.setattr(writer, "write", write)
    return left


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A mark that all processes started by this test inherit; whatever is left of them is killed at the end."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    yield mark
    for process in marked(mark):
        process.kill()


@pytest.fixture
def toys(mark: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let child processes import the toys. Returns the journal that they write."""
    journal = tmp_path / "journal"
    monkeypatch.setenv("PYTHONPATH", python_path(TESTS))
    monkeypatch.setenv("TOY_JOURNAL", str(journal))
    return journal


@pytest.fixture(scope="module")
def module_toys() -> Iterator[str]:
    """As `toys`, for fixtures that run a race once for a whole module. Returns the mark."""
    with pytest.MonkeyPatch.context() as patch:
        mark = uuid.uuid4().hex
        patch.setenv(MARK, mark)
        patch.setenv("PYTHONPATH", python_path(TESTS))
        yield mark
        for process in marked(mark):
            process.kill()
