"""`check-models` from its options to its output and exit code, on caches made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from caches import COMMIT, MLX_CONFIG, SPEC, flip, payload, put, safetensors
from racing import entry
from toys import faulty, well

from backends.base import Availability, BackendEntry
from backends.registry import BUILT_IN
from speedtest_tui.cli import console
from speedtest_tui.cli import main as cli
from speedtest_tui.core.models.inspect import MLX_NAMES

TINY, PLAIN = "mlx-community/whisper-tiny-mlx-q4", "mlx-community/whisper-tiny-mlx"
WEIGHTS = "weights.safetensors"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def hub(places: Path) -> Path:
    return places / "home" / ".cache" / "huggingface" / "hub"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch, places: Path) -> None:
    for reference in ("whisper.mlx.MlxWhisper", "parakeet.mlx.ParakeetMlx", "whisper.mps.WhisperMps"):
        monkeypatch.setattr(f"backends.{reference}.availability", lambda self: Availability(True, "1.0"))
    monkeypatch.setattr(
        "backends.whisper.transformers.TransformersWhisper.availability", lambda self: Availability(True, "1")
    )
    monkeypatch.setattr("backends.registry.entries", lambda: BUILT_IN)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command as `speedtest-tui` does; returns the exit code and what was printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.run(["check-models", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def models(printed: str) -> dict[str, dict[str, Any]]:
    return {model["backend"]: model for model in json.loads(printed)["models"]}


def test_by_default_the_built_in_models(run: Run) -> None:
    code, printed, said = run()
    assert (code, said) == (0, "")
    assert "✓ built in" in printed
    assert "8 of 8 models can be used." in printed


def test_what_was_asked_for_by_name_counts(run: Run) -> None:
    code, printed, _ = run("--size", "small", "--backends", "canary-mlx")
    assert code == 1
    assert "canary-mlx has no small model: choose another size, or leave this backend out" in printed
    assert run("--backends", "pocketsphinx,whisper-mps")[0] == 0


def test_missing_models_come_with_the_command_that_fetches_them(run: Run) -> None:
    code, printed, _ = run("--size", "tiny", "--backends", "whisper-mps")
    assert code == 1
    assert "tiny.pt is not downloaded: run `speedtest-tui download --size tiny --backends whisper-mps`" in printed
    assert "– missing" in printed


def test_other_files_are_said_to_be_left_alone(run: Run, hub: Path) -> None:
    put(hub)
    (hub / "notes.txt").write_text("mine")
    printed = run("--all")[1]
    assert ("notes.txt" in printed, "move it away yourself" in printed) == (True, True), printed


def test_many_missing_models_are_one_line(run: Run) -> None:
    code, printed, _ = run("--all", "--backends", "whisper-mps")
    assert code == 1
    assert printed.count("speedtest-tui download") == 1
    assert "7 models are not downloaded (sizes tiny, base, small, medium, large, large-v2, turbo)" in printed


def test_json_has_the_shape_of_the_design(run: Run, hub: Path) -> None:
    snapshot = put(hub, repository=TINY)
    code, printed, _ = run("--size", "tiny", "--backends", "mlx-whisper", "--json")
    assert code == 0
    document = json.loads(printed)
    assert document["schema"] == 1
    (model,) = document["models"]
    assert (model["backend"], model["size"], model["sizes"], model["source"]) == ("mlx-whisper", "tiny", ["tiny"], TINY)
    assert model["usable"] is True
    assert model["verified"] is None
    assert model["problems"] == []
    assert set(model["caches"]) == {"hf", "local", "whisper"}
    size = sum(path.stat().st_size for path in snapshot.iterdir())
    assert model["caches"]["hf"] == {
        "state": "complete", "bytes": size, "expected_bytes": size, "path": str(snapshot), "detail": "",
    }  # fmt: skip
    assert model["caches"]["whisper"]["state"] == "not-applicable"
    assert model["location"] == {"path": str(snapshot), "cache": "hf", "revision": COMMIT, "bytes": size}
    assert model["fallback"]["source"] == PLAIN
    caches = {cache["cache"]: cache for cache in document["caches"]}
    assert set(caches) == {"hf", "local", "whisper"}
    assert caches["hf"]["rows"] == 1
    assert caches["hf"]["free_bytes"] > 0


def test_faults_are_named_with_file_cache_and_fix(run: Run, hub: Path) -> None:
    snapshot = put(hub, repository=TINY)
    payload(snapshot / WEIGHTS).write_bytes(safetensors()[:-1])
    code, printed, _ = run("--size", "tiny", "--backends", "mlx-whisper", "--json")
    assert code == 1
    model = models(printed)["mlx-whisper"]
    assert model["usable"] is False
    (problem,) = model["problems"]
    assert (problem["kind"], problem["cache"], problem["file"]) == ("truncated", "hf", WEIGHTS)
    assert problem["path"] == str(snapshot / WEIGHTS)
    assert "weights.safetensors is cut short" in problem["detail"]
    assert problem["fix"] == "run `speedtest-tui repair --size tiny --backends mlx-whisper`"


def test_the_fallback_makes_it_usable_and_is_said(run: Run, hub: Path) -> None:
    put(hub, repository=PLAIN)
    code, printed, _ = run("--size", "tiny", "--backends", "mlx-whisper")
    assert code == 0
    assert "or else" in printed
    assert f"{PLAIN} runs in its place" in printed
    assert "1 of 1 model can be used." in printed


def test_checksum_makes_a_silent_fault_a_damaged_model(run: Run, hub: Path) -> None:
    flip(put(hub, repository=TINY) / WEIGHTS)
    arguments = ("--size", "tiny", "--backends", "mlx-whisper")
    assert run(*arguments)[0] == 0
    code, printed, _ = run(*arguments, "--checksum")
    assert code == 1
    assert "✗ damaged" in printed
    assert "weights.safetensors does not match its checksum" in printed
    assert "2 files compared with their hashes: 1 damaged." in printed
    # It is remembered: nobody has to hash again to be told again.
    assert run(*arguments)[0] == 1
    document = json.loads(run(*arguments, "--checksum", "--json")[1])
    assert document["checksums"]["compared"] == 2
    assert [Path(path).name for path in document["checksums"]["wrong"]] == [WEIGHTS]


def test_all_names_what_nobody_asked_about(run: Run, hub: Path) -> None:
    put(hub, repository="someone/unrelated", files={"README.md": b"hello"})
    (payload(hub / "models--someone--unrelated" / "snapshots" / COMMIT / "README.md")).unlink()
    (hub / "notes.txt").write_text("not a model")
    document = json.loads(run("--all", "--json")[1])
    said = {(problem["kind"], problem["model"]) for problem in document["problems"]}
    assert ("broken-link", "someone/unrelated") in said
    assert ("foreign", "notes.txt") in said
    assert json.loads(run("--size", "tiny", "--json")[1])["problems"] == []
    assert "someone/unrelated" in run("--all")[1]


def test_no_fault_is_told_twice(run: Run, hub: Path) -> None:
    payload(put(hub, repository=TINY) / WEIGHTS).unlink()
    document = json.loads(run("--all", "--json")[1])
    told = [problem["path"] for model in document["models"] for problem in model["problems"]]
    told += [problem["path"] for problem in document["problems"]]
    broken = [path for path in told if path and path.endswith(WEIGHTS)]
    assert len(broken) == 1


def test_not_installed_is_said_and_counts_when_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    none = Availability(False, fix="pip install it")
    monkeypatch.setattr("backends.pocketsphinx.PocketSphinx.availability", lambda self: none)
    code, printed, _ = run()
    assert code == 0
    assert "pocketsphinx is not installed: pip install it" in printed
    assert run("--backends", "pocketsphinx")[0] == 1


def test_cancelling(run: Run, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    put(hub, repository=TINY)
    monkeypatch.setattr(console.LiveView, "show", interrupt)
    code, printed, complaint = run("--size", "tiny", "--checksum")
    assert (code, printed, complaint) == (130, "", "speedtest-tui: cancelled\n")


@pytest.mark.usefixtures("toys")
def test_verify_loads_and_remembers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    toys = (entry(well.Well), entry(faulty.RaisesInLoad))
    monkeypatch.setattr("backends.registry.entries", lambda: toys)
    code, printed, _ = run("--verify", "--json")
    assert code == 1
    good, bad = (models(printed)[toy.name] for toy in toys)
    assert (good["usable"], good["verified"]["outcome"], good["verified"]["stale"]) == (True, "ok", False)
    assert (bad["usable"], bad["verified"]["outcome"]) == (False, "failed")
    assert [problem["kind"] for problem in bad["problems"]] == ["does-not-load"]
    assert "Input must be a zip file" in bad["problems"][0]["detail"]
    # The next look, which loads nothing, knows it still.
    code, printed, _ = run()
    assert code == 1
    assert "does not load: " in printed
    assert run("--backends", toys[0].name)[0] == 0


@pytest.mark.usefixtures("toys")
def test_verify_leaves_out_what_is_not_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(well.Well, "model", lambda self, size: SPEC)
    monkeypatch.setattr("backends.registry.entries", lambda: (entry(well.Well),))
    code, printed, complaint = run("--verify", "--json")
    assert (code, complaint) == (1, "")
    (model,) = json.loads(printed)["models"]
    assert model["verified"] is None


def test_a_backend_whose_code_fails_is_a_line_and_the_rest_is_done(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = BackendEntry("broken", "no_such_module:Thing", "somebody")
    monkeypatch.setattr("backends.registry.entries", lambda: (*BUILT_IN, broken))
    code, printed, _ = run()
    assert code == 1
    assert "broken: its own code failed (BackendError: its module 'no_such_module' cannot be used" in printed
    assert "8 of 9 models can be used." in printed


def test_names_that_a_terminal_would_obey_are_spelled_out(run: Run, hub: Path) -> None:
    hub.mkdir(parents=True)
    (hub / "evil\x1b[2Jname").write_text("x")
    printed = run("--all")[1]
    assert "\x1b" not in printed
    assert json.loads(run("--all", "--json")[1])["problems"]


@pytest.mark.parametrize("tensor", [*MLX_NAMES[:1], "model.encoder.layers.0.fc1.weight"])
def test_a_repair_says_the_same_of_weights_in_another_layout(
    run: Run, hub: Path, capsys: pytest.CaptureFixture[str], tensor: str
) -> None:
    names = MLX_NAMES if tensor in MLX_NAMES else (tensor,)
    weights = safetensors(bytes(6), names, "F16", [1, 3, 1])
    put(hub, {"config.json": MLX_CONFIG, "model.safetensors": weights}, repository=TINY)
    asked = ("--size", "tiny", "--backends", "mlx-whisper", "--json")
    (problem,) = models(run(*asked)[1])["mlx-whisper"]["problems"]
    assert problem["kind"] == "wrong-layout"
    cli.run(["repair", *asked])
    repair = json.loads(capsys.readouterr().out)
    if names == MLX_NAMES:
        assert [step["kind"] for step in repair["plan"]] == ["adopt"]
        assert problem["fix"].startswith("run `speedtest-tui repair")
    else:
        (note,) = repair["notes"]
        assert (repair["plan"], problem["fix"]) == ([], note["todo"])
        assert note["todo"] == f"download {PLAIN} instead: `speedtest-tui download --size tiny --backends mlx-whisper`"
