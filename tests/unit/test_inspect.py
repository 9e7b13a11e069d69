"""The rows that a person sees: which model a size means, how it stands, and what a race would load."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from caches import (
    CANARY_CONFIG,
    CHECKPOINT,
    HF_CONFIG,
    MLX_CONFIG,
    PARAKEET_CONFIG,
    SPEC,
    TOKENIZER,
    payload,
    put,
    safetensors,
)

from backends.base import Advice, Availability, BackendEntry, Location, ModelSpec
from backends.catalogue import SIZES
from backends.registry import BUILT_IN
from speedtest_tui.core.models import remembered
from speedtest_tui.core.models.inspect import find, inspect_models
from speedtest_tui.core.models.remembered import fingerprint, libraries
from speedtest_tui.core.models.sizes import Candidate, Unavailable, candidates, resolve
from speedtest_tui.core.models.status import ModelReport, Verification
from speedtest_tui.core.models.wording import can_run, of_report

ENTRIES = {entry.name: entry for entry in BUILT_IN}
TINY, PLAIN = "mlx-community/whisper-tiny-mlx-q4", "mlx-community/whisper-tiny-mlx"
WHISPER = {
    "config.json": HF_CONFIG, "generation_config.json": b'{"a": 1}', "preprocessor_config.json": b"{}",
    "tokenizer.json": TOKENIZER, "model.safetensors": safetensors(),
}  # fmt: skip


@pytest.fixture
def hub(places: Path) -> Path:
    return places / "home" / ".cache" / "huggingface" / "hub"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every built-in backend is installed, whatever this machine has."""
    for module, name in (
        ("whisper.mlx", "MlxWhisper"), ("parakeet.mlx", "ParakeetMlx"), ("whisper.mps", "WhisperMps"),
        ("whisper.transformers", "TransformersWhisper"), ("pocketsphinx", "PocketSphinx"),
    ):  # fmt: skip
        monkeypatch.setattr(f"backends.{module}.{name}.availability", lambda self: Availability(True, "1.0"))


def of_all_sizes() -> tuple[Candidate, ...]:
    return resolve(SIZES, BUILT_IN)


def one(backend: str, size: str) -> ModelReport:
    (report,) = inspect_models(candidates([ENTRIES[backend]], size))
    return report


def test_sizes_that_mean_one_model_share_a_row(places: Path) -> None:
    rows = {(report.backend, report.sizes) for report in inspect_models(of_all_sizes())}
    assert ("mlx-whisper", ("large", "turbo")) in rows
    assert ("whisper-mps", ("large", "large-v3")) in rows
    assert ("parakeet-mlx", SIZES[1:]) in rows
    assert ("pocketsphinx", SIZES) in rows
    assert {("whisper-cpp", ("small",)), ("whisper-cpp", ("large", "turbo"))} <= rows, "one repository, many models"
    assert all(report.size == report.sizes[0] for report in inspect_models(of_all_sizes()))


def test_the_columns_that_apply(places: Path) -> None:
    def states(backend: str) -> tuple[str, ...]:
        return tuple(state.state for _, state in one(backend, "tiny").states)

    assert states("mlx-whisper") == states("parakeet-mlx") == states("transformers")
    assert states("transformers") == ("missing", "missing", "not-applicable")
    assert states("whisper-mps") == ("not-applicable", "missing", "missing")
    assert states("pocketsphinx") == ("not-applicable",) * 3


@pytest.mark.parametrize("backend", ENTRIES)
def test_what_is_found_is_what_a_race_loads(hub: Path, places: Path, backend: str) -> None:
    """One map for loading and checking: the defects of the tools before us were two maps that disagreed."""
    put(hub, WHISPER, repository="openai/whisper-large-v3-turbo")
    parakeet = WHISPER | {"config.json": PARAKEET_CONFIG}
    put(places / "models" / "hub", parakeet, repository="mlx-community/parakeet-tdt-0.6b-v2")
    canary = {"config.json": CANARY_CONFIG, "model.safetensors": safetensors(), "tokenizer.model": b"x"}
    put(hub, canary, repository="Mediform/canary-1b-v2-mlx-q8")
    weights = {"config.json": MLX_CONFIG, "weights.safetensors": safetensors()}
    put(places / "models", weights, repository="mlx-community/whisper-large-v3-turbo")
    (places / "models" / "large-v3.pt").write_bytes(CHECKPOINT)
    plain = {"config.json": b"{}", "model.bin": b"x", "tokenizer.json": b'{"model": {"a": 1}, "added_tokens": [1]}'}
    put(hub, plain | {"vocabulary.json": b"[]"}, repository="mobiuslabsgmbh/faster-whisper-large-v3-turbo")
    put(hub, {"ggml-large-v3-turbo.bin": b"x"}, repository="ggerganov/whisper.cpp")
    report = one(backend, "large")
    assert report.spec is not None
    if report.spec.missing_reason:  # a program's own model, of a program that is not here
        assert not report.usable
        return
    assert report.usable
    assert find(report.spec, threading.Event()) == report.location
    if report.spec.kind != "bundled":
        assert report.location is not None
        assert report.location.path is not None
        assert report.location.path.is_absolute()
        complete = [state for _, state in report.states if state.state == "complete"]
        assert [state.path for state in complete] == [report.location.path]


def test_the_fallback_is_there_with_its_own_states(hub: Path) -> None:
    report = one("mlx-whisper", "tiny")
    assert report.fallback is not None
    assert (report.usable, report.fallback.usable) == (False, False)

    snapshot = put(hub, repository=PLAIN)
    report = one("mlx-whisper", "tiny")
    assert report.fallback is not None
    assert (report.state("hf").state, report.fallback.state("hf").state) == ("missing", "complete")
    assert report.location == report.fallback.location
    assert report.location is not None
    assert report.location.path == snapshot
    (problem,) = of_report(report, named=False)
    assert not problem.counts
    assert f"{PLAIN} runs in its place" in problem.advice.what

    preferred = put(hub, repository=TINY)
    report = one("mlx-whisper", "tiny")
    assert report.location is not None
    assert report.location.path == preferred
    assert of_report(report, named=False) == ()


def test_built_in_and_bundled_models_can_always_be_used(places: Path) -> None:
    for backend in ("mlx-whisper", "parakeet-mlx", "canary-mlx"):
        report = one(backend, "nano")
        assert report.location == Location(None, cache="embedded")
        assert report.state("local").detail == "built in, unpacked on first use"
    assert one("pocketsphinx", "large").location == Location(None, cache="bundled")


def test_a_size_that_a_backend_has_not() -> None:
    report = one("canary-mlx", "small")
    assert report.spec is None and report.without_model
    (problem,) = of_report(report, named=False)
    assert (problem.kind, problem.counts) == ("no-model", False)
    assert of_report(report, named=True)[0].counts


def test_the_order_of_the_caches(hub: Path, places: Path) -> None:
    local = put(places / "models", repository=TINY)
    in_hub = put(hub, repository=TINY)
    report = one("mlx-whisper", "tiny")
    assert report.location is not None
    assert report.location.path == in_hub
    payload(in_hub / "config.json").unlink()
    report = one("mlx-whisper", "tiny")
    assert report.location is not None
    assert report.location.path == local
    (problem,) = of_report(report, named=True)
    assert (problem.kind, problem.cache, problem.counts) == ("broken-link", "hf", False)


def test_what_is_not_installed_keeps_its_states(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(hub, repository=TINY)
    none = Availability(False, fix="pip install it")
    monkeypatch.setattr("backends.whisper.mlx.MlxWhisper.availability", lambda self: none)
    report = one("mlx-whisper", "tiny")
    assert report.unavailable == Unavailable("not-installed", Advice("not installed", "pip install it"))
    assert report.state("hf").state == "complete"
    assert not can_run(report)
    assert [problem.counts for named in (False, True) for problem in of_report(report, named=named)] == [False, True]


def test_a_backend_whose_code_fails_is_a_row(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, size: str) -> ModelSpec:
        raise KeyError("no\nsuch")

    monkeypatch.setattr("backends.whisper.mlx.MlxWhisper.model", fail)
    broken = BackendEntry("gone", "no_such_module:Thing", "somebody")
    reports = list(inspect_models(candidates([ENTRIES["mlx-whisper"], broken, ENTRIES["pocketsphinx"]], "tiny")))
    assert [report.backend for report in reports] == ["mlx-whisper", "gone", "pocketsphinx"]
    assert [report.unavailable.kind for report in reports[:2] if report.unavailable] == ["broken", "broken"]
    first, second = (of_report(report, named=False)[0].advice.what for report in reports[:2])
    assert first == "mlx-whisper: its own code failed (KeyError: 'no\\nsuch')"
    assert second.startswith("gone: its own code failed (BackendError: its module 'no_such_module'")
    assert all(problem.counts for report in reports[:2] for problem in of_report(report, named=False))


def test_a_model_that_is_no_model(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.whisper.mlx.MlxWhisper.model", lambda self, size: "whisper-tiny")
    why = one("mlx-whisper", "tiny").unavailable
    assert why is not None and why.kind == "broken"


def test_a_size_that_a_backend_does_not_have(places: Path) -> None:
    report = one("mlx-whisper", "large-v1")
    assert report.spec is None and report.without_model
    assert one("whisper-mps", "large-v1").spec is not None
    (problem,) = of_report(report, named=False)
    assert (problem.kind, problem.counts, problem.advice.what) == (
        "no-model",
        False,
        "mlx-whisper has no large-v1 model",
    )


def test_cancelling_ends_it(places: Path) -> None:
    cancelled = threading.Event()
    seen = []
    for report in inspect_models(of_all_sizes(), cancelled):
        seen.append(report)
        cancelled.set()
    assert len(seen) == 1


def test_what_loading_said_is_shown_and_stale_when_a_file_changes(hub: Path) -> None:
    entry, snapshot = ENTRIES["mlx-whisper"], put(hub, repository=TINY)
    report = one("mlx-whisper", "tiny")
    assert report.verified is None
    assert report.spec is not None
    assert report.location is not None
    seen = fingerprint(report.spec, report.location, libraries(entry, report.spec))
    failed = Verification("failed", "does not load: no", str(snapshot), 0.0, seen, "2026-01-01T00:00:00+00:00")
    remembered.remember("mlx-whisper", failed)
    report = one("mlx-whisper", "tiny")
    assert report.verified == failed
    assert [(problem.kind, problem.counts) for problem in of_report(report, named=False)] == [("does-not-load", True)]
    assert not can_run(report)

    payload(snapshot / "config.json").write_bytes(MLX_CONFIG + b" ")
    report = one("mlx-whisper", "tiny")
    assert report.verified is not None
    assert report.verified.stale
    assert can_run(report)


def test_no_look_needs_the_network_or_changes_a_thing(hub: Path, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    put(hub, SPEC and {"config.json": b"{"}, repository=TINY)
    before = sorted(str(path) for path in places.rglob("*"))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a look at the caches used the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert list(inspect_models(of_all_sizes()))
    assert sorted(str(path) for path in places.rglob("*")) == before
