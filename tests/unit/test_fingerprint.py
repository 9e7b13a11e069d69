"""The hash that a verification holds for: it changes with the files and the libraries, and with nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from racing import entry
from toys import faulty, well

from backends.base import BackendEntry, Location, ModelSpec, RequiredFile
from backends.registry import BUILT_IN, create
from speedtest_tui.core.models.remembered import fingerprint, libraries

FILES = (RequiredFile(("config.json",)), RequiredFile(("weights.safetensors", "weights.npz")))
SPEC = ModelSpec("hub", "org/name", FILES)
LIBRARIES = (("toy", "1.0"), ("mlx", "0.32"))
SECOND = 10**9


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A snapshot in the hub's layout: links to blobs, with a time long ago."""
    blobs, folder = tmp_path / "blobs", tmp_path / "snapshots" / "c1"
    blobs.mkdir()
    folder.mkdir(parents=True)
    for name in ("config.json", "weights.safetensors", "README.md"):
        blob = blobs / f"blob-of-{name}"
        blob.write_text(name)
        os.utime(blob, ns=(SECOND, SECOND))
        (folder / name).symlink_to(Path("../../blobs") / blob.name)
    return folder


def of(folder: Path | None, spec: ModelSpec = SPEC) -> str:
    return fingerprint(spec, Location(folder), LIBRARIES)


def test_the_same_each_time(snapshot: Path) -> None:
    assert of(snapshot) == of(snapshot)
    assert len(of(snapshot)) == 64


def test_other_files_do_not_matter(snapshot: Path) -> None:
    before = of(snapshot)
    (snapshot / "README.md").unlink()
    (snapshot / "notes.txt").write_text("mine")
    assert of(snapshot) == before


def test_a_time(snapshot: Path) -> None:
    before = of(snapshot)
    os.utime(snapshot / "config.json", ns=(SECOND, SECOND + 1))
    assert of(snapshot) != before


def test_a_size(snapshot: Path) -> None:
    before = of(snapshot)
    weights = snapshot / "weights.safetensors"
    weights.write_text("something longer than before")
    os.utime(weights, ns=(SECOND, SECOND))
    assert of(snapshot) != before


def test_another_blob_of_the_same_size_and_time(snapshot: Path, tmp_path: Path) -> None:
    before = of(snapshot)
    weights = snapshot / "weights.safetensors"
    other = tmp_path / "blobs" / "another"
    other.write_bytes(weights.read_bytes()[::-1])
    os.utime(other, ns=(SECOND, SECOND))
    weights.unlink()
    weights.symlink_to(other)
    assert of(snapshot) != before


def test_another_of_the_accepted_names(snapshot: Path) -> None:
    before = of(snapshot)
    (snapshot / "weights.safetensors").rename(snapshot / "weights.npz")
    assert of(snapshot) != before


@pytest.mark.parametrize("broken", ["missing", "dangling", "folder", "everything"])
def test_what_is_not_there_is_a_change_and_no_error(snapshot: Path, tmp_path: Path, broken: str) -> None:
    before = of(snapshot)
    weights = snapshot / "weights.safetensors"
    if broken == "dangling":
        weights.resolve().unlink()
    else:
        weights.unlink()
    if broken == "folder":
        weights.mkdir()
    assert of(tmp_path / "nowhere" if broken == "everything" else snapshot) != before


def test_a_checkpoint(tmp_path: Path) -> None:
    spec = ModelSpec("openai", "https://localhost/0/tiny.pt", (RequiredFile(("tiny.pt",)),))
    file = tmp_path / "tiny.pt"
    file.write_bytes(b"weights")
    before = of(file, spec)
    os.utime(file, ns=(SECOND, SECOND))
    assert of(file, spec) != before


def test_an_embedded_model_is_its_whole_folder(tmp_path: Path) -> None:
    spec = ModelSpec("embedded", "nano/hf", FILES)
    before = of(tmp_path, spec)
    (tmp_path / ".hidden").write_text("left by a file manager")
    assert of(tmp_path, spec) == before
    (tmp_path / "vocab.json").write_text("{}")
    assert of(tmp_path, spec) != before


def test_a_library(snapshot: Path) -> None:
    before = of(snapshot)
    assert fingerprint(SPEC, Location(snapshot), (("mlx", "0.32"), ("toy", "1.0"))) == before
    assert fingerprint(SPEC, Location(snapshot), (("toy", "1.0"), ("mlx", "0.33"))) != before
    assert of(None) != fingerprint(SPEC, Location(None), ())


def builtin(name: str) -> BackendEntry:
    return next(entry for entry in BUILT_IN if entry.name == name)


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("mlx-whisper", "tiny", ["mlx-whisper", "mlx"]),
        ("parakeet-mlx", "tiny", ["parakeet-mlx", "mlx"]),
        ("whisper-mps", "tiny", ["whisper-mps", "mlx", "torch"]),
        ("transformers", "tiny", ["transformers", "torch", "transformers"]),
        ("pocketsphinx", "tiny", ["pocketsphinx"]),
    ],
)
def test_what_each_backend_depends_on(name: str, size: str, expected: list[str]) -> None:
    spec = create(builtin(name).reference).model(size)
    assert spec is not None
    assert [library for library, _ in libraries(builtin(name), spec)] == expected


def test_versions_are_those_installed() -> None:
    found = dict(libraries(builtin("mlx-whisper"), SPEC))
    try:
        expected = metadata.version("mlx")
    except metadata.PackageNotFoundError:
        expected = "unknown"
    assert found["mlx"] == expected


def test_a_third_party_backend_is_a_library_too() -> None:
    found = libraries(BackendEntry("echo", "toys.well:Well", "pytest"), SPEC)
    assert found == (("echo", "1.0"), ("pytest", metadata.version("pytest")))
    assert dict(libraries(entry(well.Well), SPEC))["toy shop"] == "unknown"


@pytest.mark.parametrize("toy", [faulty.RaisesWhenMade, faulty.RaisesWhenAsked])
def test_a_backend_that_fails_has_an_answer(toy: type) -> None:
    assert [name for name, _ in libraries(entry(toy), SPEC)] == [toy.__name__]


def test_no_library_is_imported() -> None:
    code = (
        "import sys\n"
        "from backends.registry import BUILT_IN, create\n"
        "from speedtest_tui.core.models.remembered import libraries\n"
        "for entry in BUILT_IN: libraries(entry, create(entry.reference).model('nano'))\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    heavy = {"numpy", "mlx", "torch", "transformers", "mlx_whisper", "parakeet_mlx", "whisper_mps", "pocketsphinx"}
    assert not heavy & set(done.stdout.split())
