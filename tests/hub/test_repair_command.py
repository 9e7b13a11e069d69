"""`speedtest-tui repair`: what it prints and how it ends; `test_damaged_home` has the whole story."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import damage
import pytest
from caches import MLX_CONFIG, hub_cache
from downloading import add_model
from misbehaviour import Stall
from repos import MLX
from server import HubServer
from test_repair import WEIGHTS

from speedtest_tui.cli import console
from speedtest_tui.cli.main import build_parser
from speedtest_tui.core import locations
from speedtest_tui.core.models import builtin as materialise
from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.repair import trash

Run = Callable[..., tuple[int, str]]
Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command, in this process: its exit code, and what it printed on standard output."""

    def run(*arguments: str) -> tuple[int, str]:
        options = build_parser().parse_args(["repair", *arguments])
        code = options.command(options)
        return code, capsys.readouterr().out

    return run


@pytest.fixture
def ask(run: Run) -> Ask:
    """The same with --json."""

    def ask(*arguments: str) -> tuple[int, dict[str, Any]]:
        code, text = run(*arguments, "--json")
        return code, json.loads(text)

    return ask


@pytest.fixture
def damaged(hub: HubServer, online: dict[str, str], places: Path) -> Path:
    """One model of mlx-whisper whose weights are cut short. Returns their blob."""
    commit = add_model(hub, WEIGHTS, MLX)
    files = {"config.json": MLX_CONFIG, "weights.safetensors": WEIGHTS}
    made = hub_cache(locations.hf_cache(), MLX, files, commit=commit)
    damage.truncate(made.blob("weights.safetensors"))
    return made.blob("weights.safetensors")


def test_the_plan_in_words_changes_nothing(damaged: Path, run: Run) -> None:
    before = damaged.read_bytes()
    code, text = run("--size", "tiny", "--backends", "mlx-whisper")
    assert code == 1
    assert f"Download weights.safetensors of {MLX} again (1 MB)." in text
    assert "1 step, 1 MB to download; nothing is deleted" in text
    assert " free" in text.splitlines()[-1]
    assert damaged.read_bytes() == before
    assert not locations.trash_folder().exists()


def test_applied_it_says_what_came_of_it_and_how_to_go_back(damaged: Path, run: Run) -> None:
    before = damaged.read_bytes()
    code, text = run("--size", "tiny", "--backends", "mlx-whisper", "--apply")
    assert code == 0
    assert "✓ whisper-tiny-mlx: download weights.safetensors again (1 MB)" in text
    assert "✓ check mlx-whisper whisper-tiny-mlx: complete" in text
    assert damaged.read_bytes() == WEIGHTS
    assert run("--size", "tiny", "--backends", "mlx-whisper")[0] == 0
    (entry,) = trash.entries()
    assert f"repair --undo {entry.id}" in text
    assert entry.id in run("--trash")[1]
    code, text = run("--undo")
    assert (code, damaged.read_bytes()) == (0, before)
    code, text = run("--empty-trash")
    assert (code, text) == (0, "1 MB freed.\n")
    assert run("--trash") == (0, "The trash is empty: no repair has replaced anything.\n")


def test_what_cannot_be_downloaded_makes_the_exit_code_1(damaged: Path, hub: HubServer, ask: Ask) -> None:
    before = damaged.read_bytes()
    hub.close()
    code, done = ask("--size", "tiny", "--backends", "mlx-whisper", "--apply")
    assert (code, done["applied"]["state"], done["applied"]["undo"]) == (1, "failed", None)
    assert damaged.read_bytes() == before


def test_a_missing_model_is_no_fault(places: Path, run: Run) -> None:
    code, text = run("--size", "base", "--backends", "mlx-whisper")
    assert code == 0
    assert "speedtest-tui download --size base --backends mlx-whisper" in text
    assert "No problems found." in text


def test_equal_files_are_merged_when_asked_for(places: Path, ask: Ask) -> None:
    files = {"config.json": MLX_CONFIG, "weights.safetensors": WEIGHTS}
    first, second = (hub_cache(root, "a/b", files) for root in (locations.hf_cache(), locations.local_cache()))
    assert ask("--all")[1]["plan"] == []
    code, done = ask("--all", "--merge-duplicates", "--apply")
    assert (code, [step["kind"] for step in done["applied"]["steps"]]) == (0, ["merge"])
    assert first.blob("weights.safetensors").samefile(second.blob("weights.safetensors"))
    assert ask("--all", "--merge-duplicates")[1]["plan"] == []


def test_copies_within_a_repository_are_merged_and_undone(places: Path, ask: Ask) -> None:
    root = locations.hf_cache()
    hub_cache(places / "other", "a/b", {"config.json": MLX_CONFIG, "weights.safetensors": WEIGHTS})
    root.parent.mkdir(parents=True)
    shutil.copytree(places / "other", root)  # as `cp -rL`: links become files
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert not any(path.is_symlink() for path in root.rglob("*"))
    (weights,) = root.glob("*/snapshots/*/weights.safetensors")
    (blob,) = (path for path in root.glob("*/blobs/*") if path.read_bytes() == WEIGHTS)
    code, done = ask("--all", "--merge-duplicates", "--apply")
    assert (code, [step["kind"] for step in done["applied"]["steps"]]) == (0, ["merge"])
    assert weights.samefile(blob) and not weights.is_symlink()
    assert ask("--all", "--merge-duplicates")[1]["plan"] == []
    assert ask("--undo")[0] == 0
    assert not weights.samefile(blob)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("linked", (False, True))
@pytest.mark.parametrize("cache", ("hf_cache", "whisper_cache", "local_cache"))
def test_what_is_of_no_model_is_named_and_left_alone(cache: str, linked: bool, places: Path, ask: Ask) -> None:
    root = getattr(locations, cache)()
    real = places / "Documents" if linked else root
    for name in ("thesis", "photos/2020", "models--backup/blobs", "models--backup/old", "a/b", "x--y/.git"):
        (real / name).mkdir(parents=True)
    for name in ("thesis/chapter.tex", "photos/2020/x.jpg", "models--backup/blobs/thesis.doc", "models--backup/old/x",
                 "a/b/empty.json", "a/notes", "notes.txt", ".hidden", "own.pt", "x--y/empty.safetensors",
                 "x--y/.git/config.partial"):  # fmt: skip
        (real / name).touch()
    (real / "lost").symlink_to("nowhere")
    if linked:
        root.parent.mkdir(parents=True, exist_ok=True)
        root.symlink_to(real)
    before = sorted((path, path.lstat().st_mtime_ns) for path in real.rglob("*"))
    code, plan = ask("--all", "--tidy", "--apply")
    assert (code, plan["plan"], plan["offered"]) == (0, [], [])
    assert sorted((path, path.lstat().st_mtime_ns) for path in real.rglob("*")) == before
    assert any("belong to no model (" in note["what"] and note["todo"] == "left alone" for note in plan["notes"])
    assert trash.entries() == ()


def test_one_foreign_file_is_no_problem(places: Path, run: Run) -> None:
    locations.hf_cache().mkdir(parents=True)
    damage.foreign_file(locations.hf_cache())
    code, text = run("--all")
    assert (code, "1 file here belongs to no model (notes.txt): left alone" in text) == (0, True)
    assert "No problems found." in text


def test_a_model_is_copied_to_another_cache(places: Path, ask: Ask) -> None:
    from backends.catalogue import MLX_WHISPER

    hub_cache(locations.hf_cache(), MLX, {"config.json": MLX_CONFIG, "weights.safetensors": WEIGHTS})
    code, plan = ask("--copy", MLX, "--to", "local")
    assert (code, [step["kind"] for step in plan["plan"]]) == (1, ["copy"])
    assert ask("--copy", MLX, "--to", "local", "--apply")[0] == 0
    fallback = MLX_WHISPER["tiny"].fallback
    assert fallback is not None
    assert examine(fallback, "local").state == "complete"


def test_a_damaged_built_in_model_is_unpacked_again(places: Path, ask: Ask) -> None:
    folder = materialise.materialise("nano/mlx", locations.local_cache())
    damage.truncate(folder / "weights.safetensors")
    damaged = (folder / "weights.safetensors").read_bytes()
    code, done = ask("--size", "nano", "--backends", "mlx-whisper", "--apply")
    assert (code, [step["kind"] for step in done["applied"]["steps"]]) == (0, ["unpack"])
    assert materialise.find("nano/mlx", locations.local_cache()) == folder
    assert ask("--size", "nano", "--backends", "mlx-whisper")[1]["plan"] == []
    assert ask("--undo")[0] == 0
    assert (folder / "weights.safetensors").read_bytes() == damaged


def test_interrupted_it_ends_with_130_and_goes_on_the_next_time(
    damaged: Path, hub: HubServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.misbehave("*weights.safetensors", Stall(400_000), times=1)

    def interrupted(*_: object) -> None:
        assert hub.wait(lambda server: server.stalled)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(console, "watch", interrupted)
        assert run("--size", "tiny", "--backends", "mlx-whisper", "--apply")[0] == 130
    hub.release()
    assert damaged.read_bytes() != WEIGHTS
    assert run("--size", "tiny", "--backends", "mlx-whisper", "--apply")[0] == 0
    assert damaged.read_bytes() == WEIGHTS
