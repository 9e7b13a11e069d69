"""mlx-whisper's quantised weights cannot be used, its plain ones can: every result says which ran and why."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Done, command_line
from documents import good_row

from speedtest_tui.ui.widgets.result_panes import line_of
from speedtest_tui.ui.widgets.row_details import details

QUANTISED, PLAIN = "mlx-community/whisper-tiny-mlx-q4", "mlx-community/whisper-tiny-mlx"
"""What the size `tiny` means, and what may stand in for it."""

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RUN = ("run", "--demo", "--size", "tiny", "--backends", "mlx-whisper", "--runs", "1", "--warmup", "1", "--no-save")

Race = Callable[..., Done]


def put(cache: Path, repository: str, model: Path) -> Path:
    """A repository in the hub's layout with an embedded model's files; returns its snapshot."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot, blobs = folder / "snapshots" / COMMIT, folder / "blobs"
    for made in (snapshot, blobs, folder / "refs"):
        made.mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    for name in ("config.json", "weights.safetensors"):
        shutil.copyfile(model / name, blobs / name)
        (snapshot / name).symlink_to(Path("../../blobs") / name)
    return snapshot


@pytest.fixture
def race(tmp_path: Path, unpacked: Callable[[str], Path]) -> Race:
    """Run a race over a cache with both repositories, the quantised one's weights damaged."""
    pytest.importorskip("mlx_whisper")
    cache = tmp_path / "hub"
    put(cache, PLAIN, unpacked("mlx"))
    (put(cache, QUANTISED, unpacked("mlx")) / "weights.safetensors").write_bytes(b"")

    def run(*arguments: str) -> Done:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        return command_line(home, tmp_path / "models", tmp_path / "data", *RUN, *arguments, HF_HUB_CACHE=str(cache))

    return run


def assert_says_which_and_why(text: str) -> None:
    for word in (f"ran {PLAIN} because ", QUANTISED, "weights.safetensors"):
        assert word in text


def test_json_names_the_weights_and_the_reason(race: Race) -> None:
    done = race("--json", "-")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert (result["status"], result["model"]["source"]) == ("ok", PLAIN)
    assert PLAIN.replace("/", "--") in result["model"]["path"]
    # The variant is the quantised one's; what stood in for it must not carry that name.
    assert result["model"]["variant"] is None
    (warning,) = result["warnings"]
    assert_says_which_and_why(warning)


def test_tables_do_too(race: Race, tmp_path: Path) -> None:
    done = race("--csv", str(tmp_path / "result.csv"))
    assert done.returncode == 0, done.stderr
    assert_says_which_and_why(" ".join(done.stdout.split()))
    (line,) = csv.DictReader(io.StringIO((tmp_path / "result.csv").read_text()))
    assert line["source"] == PLAIN
    assert_says_which_and_why(line["warnings"])


def test_a_model_that_is_whole_but_does_not_load(race: Race, tmp_path: Path, unpacked: Callable[[str], Path]) -> None:
    """Nothing on disk gives it away: only the library finds that it does not know this kind of model."""
    cache = tmp_path / "hub"
    shutil.rmtree(cache / f"models--{QUANTISED.replace('/', '--')}")
    config = put(cache, QUANTISED, unpacked("mlx")) / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "n_experts": 8}))
    done = race("--json", "-")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert (result["status"], result["model"]["source"], result["model"]["variant"]) == ("ok", PLAIN, None)
    assert {Path(file).name for file in result["model"]["files"]} == {"config.json", "weights.safetensors"}
    assert all(PLAIN.replace("/", "--") in file for file in (result["model"]["path"], *result["model"]["files"]))
    (warning,) = result["warnings"]
    assert warning.startswith(f"ran {PLAIN} because {QUANTISED} does not load: TypeError: ")
    assert "n_experts" in warning


def test_both_damaged(race: Race, tmp_path: Path) -> None:
    """What the size means is named, not what might have stood in for it."""
    weights = tmp_path / "hub" / f"models--{PLAIN.replace('/', '--')}" / "blobs" / "weights.safetensors"
    weights.write_bytes(b"")
    done = race("--json", "-")
    assert done.returncode == 1
    (result,) = json.loads(done.stdout)["results"]
    assert result["status"] == "missing-model"
    assert QUANTISED in result["error"]["message"]


def test_rows_on_the_screen_do_too() -> None:
    warning = f"ran {PLAIN} because {QUANTISED} is incomplete: weights.safetensors is empty"
    row = replace(good_row("mlx-whisper", (0.1,)), warnings=(warning,))
    assert_says_which_and_why(details(row, width=200).plain)
    assert_says_which_and_why(line_of(row, {})[1].plain)
