"""The model maps, exactly as users of mac-whisper-speedtest know them."""

from __future__ import annotations

import pytest

from backends import catalogue
from backends.base import ModelSpec
from backends.catalogue import SIZES
from backends.embedded import layouts
from backends.registry import BUILT_IN, create

MLX_WHISPER = {
    # size: repository, unquantised fallback
    "tiny": ("mlx-community/whisper-tiny-mlx-q4", "mlx-community/whisper-tiny-mlx"),
    "base": ("mlx-community/whisper-base-mlx", "mlx-community/whisper-base-mlx"),
    "small": ("mlx-community/whisper-small-mlx-4bit", "mlx-community/whisper-small-mlx"),
    "medium": ("mlx-community/whisper-medium-mlx-8bit", "mlx-community/whisper-medium-mlx"),
    "large": ("mlx-community/whisper-large-v3-turbo", "mlx-community/whisper-large-v3-turbo"),
    "large-v2": ("mlx-community/whisper-large-v2-mlx-4bit", "mlx-community/whisper-large-v2-mlx"),
    "large-v3": ("mlx-community/whisper-large-v3-mlx-8bit", "mlx-community/whisper-large-v3-mlx"),
}

TRANSFORMERS = {
    "tiny": "openai/whisper-tiny",
    "base": "openai/whisper-base",
    "small": "openai/whisper-small",
    "medium": "openai/whisper-medium",
    "large": "openai/whisper-large-v3-turbo",
    "large-v2": "openai/whisper-large-v2",
    "large-v3": "openai/whisper-large-v3",
}

PARAKEET = {
    "parakeet-tdt-0.6b": "mlx-community/parakeet-tdt-0.6b-v2",
    "parakeet-tdt-0.6b-v2": "mlx-community/parakeet-tdt-0.6b-v2",
    "parakeet-tdt-1.1b": "mlx-community/parakeet-tdt-1.1b",
    "parakeet-ctc-0.6b": "mlx-community/parakeet-ctc-0.6b",
    "parakeet-ctc-1.1b": "mlx-community/parakeet-ctc-1.1b",
    **dict.fromkeys(
        ("tiny", "base", "small", "medium", "large", "large-v2", "large-v3"), "mlx-community/parakeet-tdt-0.6b-v2"
    ),
}


@pytest.mark.parametrize("size", MLX_WHISPER)
def test_mlx_whisper(size: str) -> None:
    spec = catalogue.MLX_WHISPER[size]
    repository, plain = MLX_WHISPER[size]
    assert spec.source == repository
    # Where both are the same there is nothing to fall back on.
    assert (spec.fallback.source if spec.fallback else repository) == plain


@pytest.mark.parametrize("size", TRANSFORMERS)
def test_transformers(size: str) -> None:
    assert catalogue.TRANSFORMERS[size].source == TRANSFORMERS[size]


@pytest.mark.parametrize("name", PARAKEET)
def test_parakeet(name: str) -> None:
    assert catalogue.PARAKEET_MLX[name].source == PARAKEET[name]


def test_whisper_mps_agrees_with_the_library() -> None:
    models = pytest.importorskip("whisper_mps.whisper.load_models")._MODELS
    ours = {name: spec.source for name, spec in catalogue.WHISPER_MPS.items() if name != "nano"}
    assert ours == {name: models[name] for name in models if not name.startswith("nano")}


def test_whisper_mps_files_and_hashes() -> None:
    for name, spec in catalogue.WHISPER_MPS.items():
        if name == "nano":
            continue
        (file,) = spec.files
        assert spec.source.split("/")[-2:] == [file.sha256, file.names[0]]
        assert len(file.sha256) == 64
    assert catalogue.WHISPER_MPS["medium"].files[0].sha256 == (
        "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1"
    )
    # What is asked for as "large" or "turbo" lies on disk under another name.
    assert catalogue.WHISPER_MPS["large"].files[0].names == ("large-v3.pt",)
    assert catalogue.WHISPER_MPS["turbo"].files[0].names == ("large-v3-turbo.pt",)


CANARY = {
    **dict.fromkeys(("large", "large-v2", "large-v3", "turbo", "canary-1b-v2"), "Mediform/canary-1b-v2-mlx-q8"),
    "nano": "canary-nano/mlx",
}


def test_canary() -> None:
    assert {name: spec.source for name, spec in catalogue.CANARY_MLX.items()} == CANARY
    large = catalogue.CANARY_MLX["canary-1b-v2"]
    assert [file.names[0] for file in large.files] == ["config.json", "model.safetensors", "tokenizer.model"]
    assert not large.english_only
    assert catalogue.CANARY_MLX["nano"].english_only


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: entry.name)
def test_every_size_has_a_model_with_files(entry: object) -> None:
    backend = create(entry.reference)  # type: ignore[attr-defined]
    assert backend.name == entry.name  # type: ignore[attr-defined]
    for size in SIZES:
        spec = backend.model(size)
        if spec is None:  # no Canary is small, and programs carry no demo models
            assert size in {"canary-mlx": ("tiny", "base", "small", "medium")}.get(backend.name, ("nano",))
            continue
        assert isinstance(spec, ModelSpec), size
        assert spec.source
        assert spec.kind == "bundled" or spec.files
        assert spec.kind != "hub" or spec.source.count("/") == 1
    assert backend.model("enormous") is None


def test_turbo_means_turbo() -> None:
    assert "turbo" in catalogue.MLX_WHISPER["turbo"].source
    assert "turbo" in catalogue.TRANSFORMERS["turbo"].source
    assert catalogue.openai_checkpoint("turbo").variant == "turbo"


def test_nano_is_embedded_in_every_backend_that_loads_weights() -> None:
    found = {name: models["nano"] for name, models in catalogue.BY_BACKEND.items() if "nano" in models}
    embedded = {name: spec for name, spec in found.items() if spec.kind != "bundled"}
    assert {name: (spec.kind, spec.source, spec.missing_reason) for name, spec in embedded.items()} == {
        "mlx-whisper": ("embedded", "nano/mlx", ""),
        "parakeet-mlx": ("embedded", "parakeet-nano/mlx", ""),
        "canary-mlx": ("embedded", "canary-nano/mlx", ""),
        "whisper-mps": ("embedded", "nano/openai", ""),
        "transformers": ("embedded", "nano/hf", ""),
        "faster-whisper": ("embedded", "nano/ct2", ""),
        "whisper-cpp": ("embedded", "nano/ggml", ""),
        "openai-whisper": ("embedded", "nano/openai", ""),
    }
    assert {spec.source for spec in embedded.values()} == set(layouts.LAYOUTS)
