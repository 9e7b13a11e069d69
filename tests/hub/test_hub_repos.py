"""The nano repositories can be fetched, and load; damage is the damage that its name says."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import damage
import pytest
import repos
from caches import HubCache, hub_cache, plain_folder, shared_store, write
from clients import run
from misbehaviour import Cut
from racing import TESTS, python_path
from repos import Kit
from server import HubServer

from backends import catalogue
from speedtest_tui.core.models.inspect import locate

Environment = dict[str, str]

WEIGHTS = random.Random(8).randbytes(5000)
FILES = {"config.json": b"{}", "weights.safetensors": WEIGHTS}


@pytest.fixture
def made(tmp_path: Path) -> HubCache:
    """A whole repository in a cache on a path with a space and a letter that is not ASCII."""
    return hub_cache(tmp_path / "a cäche", "org/name", FILES)


def probe(backend: str, folder: str, home: Path) -> dict[str, object]:
    """What the backend does with a model and a second of noise."""
    environment = {**os.environ, "HOME": str(home), "HF_HUB_OFFLINE": "1", "PYTHONPATH": python_path(TESTS)}
    command = [sys.executable, "-m", "backend_probe", backend, folder, "16000"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    facts: list[dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return facts[0]


def test_specs_of_the_catalogue_can_be_fetched(hub: HubServer, online: Environment, kit: Kit) -> None:
    repos.add_nano(hub, kit)
    names = [repos.MLX, repos.TRANSFORMERS, repos.WRONG_LAYOUT]
    fetched = dict(zip(names, run(online, f"answer([snapshot_download(r) for r in {names}])").value, strict=True))
    tiny = catalogue.TRANSFORMERS["tiny"]
    assert getattr(locate(tiny), "path", None) == Path(fetched[repos.TRANSFORMERS])
    assert (Path(fetched[repos.TRANSFORMERS]) / "flax_model.msgpack").exists()
    assert "weights.safetensors" in str(locate(catalogue.MLX_WHISPER["base"]))


def test_the_quantised_model_is_one(kit: Kit, tmp_path: Path) -> None:
    pytest.importorskip("mlx_whisper")
    folder = plain_folder(tmp_path / "model", kit.quantised())
    loaded = probe("mlx-whisper", str(folder), tmp_path)["loaded"]
    assert isinstance(loaded, dict) and 4 < loaded["bits"] < 12


def test_npz_and_checkpoint(hub: HubServer, kit: Kit) -> None:
    import zipfile

    pytest.importorskip("torch")
    path = kit.npz()["weights.npz"]
    assert isinstance(path, Path) and zipfile.is_zipfile(path) and zipfile.is_zipfile(kit.openai())
    spec = repos.add_checkpoint(hub, kit.openai())
    assert spec.source.split("/")[-2:] == [spec.files[0].sha256, "nano.en.pt"]


def test_five_thousand_files(hub: HubServer, online: Environment) -> None:
    repos.add_many(hub)
    listed = run(online, "answer(sum(1 for _ in HfApi().list_repo_tree('org/many', recursive=True)))").value
    assert listed == 5000 + 50 + 2


def test_a_cut_download_of_a_real_spec(hub: HubServer, online: Environment, kit: Kit) -> None:
    repos.add_nano(hub, kit)
    hub.misbehave("/lfs/*weights.safetensors", Cut(after=100_000), times=1)
    outcome = run(online, f"answer(snapshot_download({repos.MLX!r}))")
    assert outcome.error == "", outcome.output
    # It does try again, from the start: what is less than its step of 10 MiB has not been written yet.
    cut, whole = [request for request in hub.requests if request.path.endswith("weights.safetensors") and request.sent]
    assert (cut.sent, whole.range, whole.sent) == (100_000, None, whole.announced)


def test_the_shared_store_is_the_library_s_own(made: HubCache) -> None:
    from huggingface_hub.utils._shared_blobs import is_shared_blobs_dir, shared_blob_target

    twin = hub_cache(made.root, "org/twin", FILES)
    payload = shared_store(made, "weights.safetensors")
    assert shared_store(twin, "weights.safetensors") == payload
    assert is_shared_blobs_dir(made.root / "blobs")
    for one in (made, twin):
        assert shared_blob_target(one.blob("weights.safetensors"), made.root) == payload
        assert one.file("weights.safetensors").read_bytes() == WEIGHTS
    assert payload.with_name(f"{payload.name}.refs").read_text().count("\n") == 2


def test_damage_keeps_what_it_says(made: HubCache) -> None:
    file = made.file("weights.safetensors")
    before = file.stat()
    damage.flip_byte(file)
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (5000, before.st_mtime_ns)
    assert file.read_bytes() != WEIGHTS
    damage.truncate(file)
    assert file.stat().st_size == 2500
    damage.break_link(file)
    assert file.is_symlink() and not file.exists()


def test_damage_reaches_the_shared_payload(made: HubCache) -> None:
    payload = shared_store(made, "weights.safetensors")
    damage.flip_byte(made.file("weights.safetensors"))
    assert payload.read_bytes() != WEIGHTS
    damage.remove_payload(made, "weights.safetensors")
    assert made.blob("weights.safetensors").is_symlink() and not payload.exists()


def test_partials_carry_the_first_bytes(made: HubCache) -> None:
    damage.remove_file(made, "weights.safetensors")
    partial = damage.hub_partial(made, "weights.safetensors", 1000)
    assert partial.read_bytes() == WEIGHTS[:1000]
    assert partial.name == f"{made.contents['weights.safetensors'].sha256}.0badc0de.incomplete"


def test_huggingface_hub_reads_what_is_made_by_hand(places: Path) -> None:
    root = places / "home" / ".cache" / "huggingface" / "hub"
    whole = hub_cache(root, "org/whole", FILES)
    hub_cache(root, "org/part", FILES, only={"config.json"})
    code = "answer(snapshot_download({!r}, local_files_only=True))"
    assert run(os.environ, code.format("org/whole")).value == str(whole.snapshot)
    assert run(os.environ, code.format("org/part")).error == "IncompleteSnapshotError"


def test_plain_places(tmp_path: Path) -> None:
    folder = plain_folder(tmp_path / "org--name", FILES)
    assert (folder / "weights.safetensors").read_bytes() == WEIGHTS
    assert write(tmp_path / "tiny.pt", b"x").read_bytes() == b"x"
