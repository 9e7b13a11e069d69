"""Models outside the hub's layout, those that need no cache, and which files of a repository are wanted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from caches import (
    CHECKPOINT,
    COMMIT,
    FILES,
    GOOD,
    SPEC,
    etag,
    put,
)

from backends.base import ModelSpec, RequiredFile
from backends.catalogue import MLX_WHISPER, POCKETSPHINX, TRANSFORMERS, openai_checkpoint
from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.models.status import CacheName
from speedtest_tui.core.models.wanted import wanted

WEIGHTS = "weights.safetensors"
SIZE = sum(map(len, GOOD.values()))


@pytest.mark.parametrize("folder", ["org--name", "org/name", "name", "converted/name"])
def test_plain_folders(places: Path, folder: str) -> None:
    path = places / "models" / folder
    path.mkdir(parents=True)
    for name, data in GOOD.items():
        (path / name).write_bytes(data)
    state = examine(SPEC, "local")
    assert (state.state, state.path, state.repository, state.bytes) == ("complete", path, None, SIZE)
    (path / WEIGHTS).write_bytes(GOOD[WEIGHTS][:-1])
    assert (examine(SPEC, "local").state, examine(SPEC, "hf").state) == ("damaged", "missing")
    (path / WEIGHTS).rename(path / "model.safetensors")
    # A folder with the owner in its name is this model; one without may be another owner's.
    assert examine(SPEC, "local").state == ("wrong-layout" if "org" in folder else "missing")


def test_hashes_that_huggingface_hub_noted_beside_a_plain_folder(places: Path) -> None:
    path = places / "models" / "org--name"
    notes = path / ".cache" / "huggingface" / "download"
    notes.mkdir(parents=True)
    for name, data in GOOD.items():
        (path / name).write_bytes(data)
        os.utime(path / name, (1_700_000_000, 1_700_000_000))
        (notes / f"{name}.metadata").write_text(f"{COMMIT}\n{etag(name, data)}\n1700000000.5\n")
    files = examine(SPEC, "local").files
    assert [file.git_sha1 or file.sha256 for file in files] == [etag(name, data) for name, data in GOOD.items()]
    os.utime(path / "config.json", (1_800_000_000, 1_800_000_000))  # edited since: the note is not about this content
    (notes / f"{WEIGHTS}.metadata").write_text("garbage")
    assert [file.git_sha1 or file.sha256 for file in examine(SPEC, "local").files] == ["", ""]


def test_a_whole_copy_beside_a_damaged_one(places: Path) -> None:
    (put(places / "models") / WEIGHTS).unlink()
    whole = put(places / "models" / "hub")
    assert examine(SPEC, "local").path == whole


@pytest.mark.parametrize(("cache", "folder"), [("local", "models"), ("whisper", "home/.cache/whisper")])
def test_checkpoints(places: Path, cache: CacheName, folder: str) -> None:
    spec = openai_checkpoint("large")
    path = places / folder / "large-v3.pt"
    path.parent.mkdir(parents=True)
    (path.with_name("base.pt")).write_bytes(CHECKPOINT)
    assert examine(spec, "hf").state == "not-applicable"
    assert examine(spec, cache).state == "missing"

    path.with_name("large-v3.pt.incomplete").write_bytes(CHECKPOINT[:100])
    state = examine(spec, cache)
    assert (state.state, state.detail, state.path) == ("partial", "0 of 1 files, 100 bytes so far", None)

    path.write_bytes(CHECKPOINT)
    state = examine(spec, cache)
    assert (state.state, state.path, state.revision, state.bytes) == ("complete", path, "e5b1a55b89c1", len(CHECKPOINT))
    assert state.files[0].sha256.startswith("e5b1a55b89c1")

    path.write_bytes(CHECKPOINT[:200])
    assert examine(spec, cache).state == "damaged"
    path.write_bytes(b"")
    assert examine(spec, cache).detail == "large-v3.pt is empty"
    path.unlink()
    path.symlink_to("nowhere")
    assert examine(spec, cache).state == "broken-link"
    path.unlink()
    (places / "disk.pt").write_bytes(CHECKPOINT)
    path.symlink_to(places / "disk.pt")  # the file is the whole model: moving it elsewhere is the user's right
    assert examine(spec, cache).state == "complete"


def test_the_name_large_pt_means_nothing(places: Path) -> None:
    path = places / "models" / "large.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(CHECKPOINT)
    assert examine(openai_checkpoint("large"), "local").state == "missing"


def test_bundled_and_absent_models() -> None:
    for cache in ("hf", "local", "whisper"):
        state = examine(POCKETSPHINX["nano"], cache)
        assert (state.state, state.detail) == ("not-applicable", "comes with its library")
        absent = ModelSpec("embedded", "toy/none", missing_reason="nobody has trained it yet")
        assert examine(absent, cache).detail == "nobody has trained it yet"


def test_the_embedded_model(places: Path, unpacked: object, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    spec = MLX_WHISPER["nano"]
    state = examine(spec, "local")
    assert (state.state, state.detail) == ("missing", "built in, unpacked on first use")
    assert examine(spec, "hf").state == "not-applicable"
    source: Path = unpacked("mlx")  # type: ignore[operator]
    folder = places / "models" / "embedded" / source.parent.name / "mlx"
    shutil.copytree(source, folder)
    state = examine(spec, "local")
    assert (state.state, state.path) == ("complete", folder)
    assert all(file.sha256 for file in state.files)
    (folder / "config.json").write_bytes(b"{}")
    assert examine(spec, "local").detail.endswith("unpacked anew on the next use")
    (folder / "manifest.json").write_bytes(b"{")
    assert examine(spec, "local").state == "damaged"
    assert examine(ModelSpec("embedded", "nano/unheard-of"), "local").state == "not-applicable"


def test_specs_of_others_cannot_reach_outside(places: Path, hub: Path) -> None:
    put(hub)
    spec = ModelSpec("hub", "org/name", (RequiredFile(("../../refs/main",)),))
    assert examine(spec, "hf").state == "damaged"
    assert examine(ModelSpec("hub", "../org/name", FILES), "hf").state == "not-applicable"
    assert examine(ModelSpec("hub", "org/name"), "hf").state == "complete"


WHISPER_TINY = (
    ".gitattributes", "README.md", "added_tokens.json", "config.json", "flax_model.msgpack", "generation_config.json",
    "merges.txt", "model.safetensors", "normalizer.json", "onnx/config.json", "pytorch_model.bin", "sample.flac",
    "special_tokens_map.json", "tf_model.h5", "tokenizer.json", "vocab.json", "preprocessor_config.json",
    "coreml.mlpackage/Manifest.json", "../escape.json", "logo.png",
)  # fmt: skip


def test_wanted_of_a_repository_for_many_libraries() -> None:
    found = wanted(TRANSFORMERS["tiny"], WHISPER_TINY)
    assert found[:5] == (
        "config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors",
    )  # fmt: skip
    assert found[5:] == ("added_tokens.json", "merges.txt", "normalizer.json", "special_tokens_map.json", "vocab.json")


def test_wanted_takes_the_first_accepted_name_only() -> None:
    assert wanted(SPEC, ["weights.npz", WEIGHTS, "config.json"]) == ("config.json", WEIGHTS)
    assert wanted(SPEC, ["weights.npz", "config.json"]) == ("config.json", "weights.npz")
    assert wanted(SPEC, ["model.safetensors"]) == ()
