"""`speedtest-tui download` from its options to what it prints, against the local hub."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from caches import TOKENIZER, safetensors
from downloading import CONFIG, add_model, folder, large_bytes, partial, size_of, weights
from misbehaviour import Stall, Status
from racing import survivors
from server import HubServer

from speedtest_tui.cli import console
from speedtest_tui.cli.main import build_parser
from speedtest_tui.cli.options import plan_from
from speedtest_tui.cli.run import download_missing

PLAIN, QUANTISED = "mlx-community/whisper-tiny-mlx", "mlx-community/whisper-tiny-mlx-q4"
HF = "openai/whisper-tiny"


def run(*arguments: str) -> int:
    """The exit code."""
    options = build_parser().parse_args(["download", *arguments])
    code: int = options.command(options)
    return code


def add_transformers(hub: HubServer) -> None:
    """What the catalogue wants of it, and a large file that nobody here reads."""
    names = ("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json")
    files = dict.fromkeys(names, CONFIG) | {"tokenizer.json": TOKENIZER}
    hub.add_repo(HF, {**files, "model.safetensors": safetensors(), "flax_model.msgpack": bytes(9 << 20)},
                 lfs={"model.safetensors", "flax_model.msgpack"})  # fmt: skip


def test_a_model_is_downloaded_and_then_is_complete(
    hub: HubServer, online: dict[str, str], places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_transformers(hub)
    assert run("--size", "tiny", "--backends", "transformers") == 0
    root = places / "home/.cache/huggingface/hub"
    said = capsys.readouterr()
    assert f"✓ {HF}: " in said.out
    assert str(folder(root, HF)) in said.out
    assert hub.bytes_sent("flax_model.msgpack") == 0
    hub.forget()
    assert run("--size", "tiny", "--backends", "transformers") == 0
    assert "already complete in the HF cache" in capsys.readouterr().out
    assert not hub.requests


def test_any_repository_and_several_at_once(
    hub: HubServer, online: dict[str, str], places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("some/whisper-mlx", PLAIN):
        add_model(hub, safetensors(), name)
    assert run("--size", f"some/whisper-mlx, {PLAIN}", "--backends", "mlx-whisper") == 0
    said = capsys.readouterr().out
    assert "✓ some/whisper-mlx: " in said and f"✓ {PLAIN}: " in said


def test_the_local_cache_and_json(
    hub: HubServer, online: dict[str, str], places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_transformers(hub)
    assert run("--size", "tiny", "--backends", "transformers", "--to", "local", "--json") == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    (row,) = document["downloads"]
    assert row["state"] == "done"
    assert row["backends"] == ["transformers"]
    assert row["error"] is None
    assert Path(row["path"]).is_relative_to(places / "models")
    assert run("--size", "tiny", "--backends", "transformers", "--to", "local", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["downloads"] == []
    assert document["skipped"][0]["ok"]


@pytest.mark.parametrize("to", [(), ("--to", "hf")])
def test_it_resumes_where_the_partial_lies_unless_a_cache_is_named(
    hub: HubServer, online: dict[str, str], places: Path, capsys: pytest.CaptureFixture[str], to: tuple[str, ...]
) -> None:
    data = safetensors(weights(300_000))
    add_model(hub, data, PLAIN)
    add_model(hub, data, QUANTISED)
    left = partial(places / "models", data, QUANTISED)
    left.parent.mkdir(parents=True)
    left.write_bytes(data[:200_000])
    assert run("--size", "tiny", "--backends", "mlx-whisper", *to) == 0
    assert f" in {places / 'models' if not to else places / 'home'}" in capsys.readouterr().out
    assert large_bytes(hub) == len(data) - (0 if to else 200_000)
    assert size_of(left) == (200_000 if to else 0)


def test_the_plain_weights_instead_of_the_quantised_ones(
    hub: HubServer, online: dict[str, str], places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_model(hub, safetensors(), PLAIN)
    assert run("--size", "tiny", "--backends", "mlx-whisper") == 0
    said = capsys.readouterr()
    assert f"{QUANTISED} is not on the hub, or is private; downloading {PLAIN} instead" in said.out
    assert f"✓ {PLAIN}: " in said.out
    assert f"in place of {QUANTISED}" in said.err


def test_a_failure_says_what_to_do(
    hub: HubServer, online: dict[str, str], places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_transformers(hub)
    hub.misbehave("*/resolve/*", Status(403, error_code="GatedRepo"))
    assert run("--size", "tiny", "--backends", "transformers") == 1
    assert "hf auth login" in capsys.readouterr().out


def test_what_comes_with_the_program_needs_no_download(
    online: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--size", "nano", "--backends", "transformers,pocketsphinx") == 0
    assert capsys.readouterr().out.count("nothing to download") == 2


def test_ctrl_c_keeps_what_was_downloaded(
    hub: HubServer, online: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_transformers(hub)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(console, "watch", interrupted)
    assert run("--size", "tiny", "--backends", "transformers") == 130
    assert "the same command resumes it" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_what_has_arrived(
    hub: HubServer, online: dict[str, str], places: Path, number: signal.Signals, mark: str
) -> None:
    add_model(hub, safetensors(weights(3_000_000)), PLAIN)
    hub.misbehave("/lfs/*", Stall(after=2_500_000))
    words = [sys.executable, "-m", "speedtest_tui", "download", "--size", "tiny", "--backends", "mlx-whisper"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **online})
    assert hub.wait(lambda hub: hub.stalled)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.decode().splitlines()[-1] == "speedtest-tui: cancelled: the same command resumes it"
    assert b"Traceback" not in errors
    assert survivors(mark) == []


def test_a_race_downloads_what_it_lacks(
    hub: HubServer, online: dict[str, str], places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_transformers(hub)
    options = build_parser().parse_args(
        ["run", "--demo", "--download", "--model", "transformers:tiny", "--model", "pocketsphinx:nano", "--model",
         "mlx-whisper:tiny"]
    )  # fmt: skip
    plan = plan_from(options)
    assert download_missing(plan)
    said = capsys.readouterr().err
    assert "1 downloaded, 1 failed" in said  # the hub has no model for mlx-whisper
    assert (folder(places / "home/.cache/huggingface/hub", HF)).is_dir()
    hub.forget()
    assert download_missing(replace(plan, candidates=plan.candidates[:2]))
    assert not hub.requests
