"""`speedtest-tui convert`, as its module carries it out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from checkpoints import checkpoint

from speedtest_tui.cli.main import build_parser
from speedtest_tui.core.errors import UserError

pytest.importorskip("torch")
pytest.importorskip("mlx.core")


def run(*arguments: str | Path) -> int:
    options = build_parser().parse_args(["convert", *map(str, arguments)])
    code: int = options.command(options)
    return code


def test_it_prints_the_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(checkpoint("hybrid"), tmp_path / "out", "--dtype", "float32") == 0
    said, complaints = capsys.readouterr()
    for words in (
        "Parakeet TDT-CTC",
        "float32",
        "encoder",
        "CTC head",
        "predictor and joint network",
        "durations",
        "✓",
    ):
        assert words in said
    assert str(tmp_path / "out") in said
    assert complaints == ""


def test_json_is_what_the_folder_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(checkpoint("flash"), tmp_path / "out", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said.pop("folder") == str(tmp_path / "out")
    assert said == json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert (said["family"], said["dtype"], said["bits"]) == ("Canary", "bfloat16", None)


def test_what_cannot_be_converted_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no \\.nemo archive"):
        run(Path(__file__), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
