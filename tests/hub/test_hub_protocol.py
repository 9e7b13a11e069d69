"""The real huggingface_hub works against the local hub, as it does against the one in the world."""

from __future__ import annotations

import hashlib
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from caches import hub_cache
from clients import run, start
from misbehaviour import Stall, Status
from racing import eventually
from routes import OTHER_TOKEN, TOKEN
from server import HubServer

Environment = dict[str, str]

REPO = "org/name"
WEIGHTS = random.Random(5).randbytes(300_000)
FILES = {"config.json": b'{"a": 1}', "part/weights.safetensors": WEIGHTS}
SNAPSHOT = f"answer(snapshot_download({REPO!r}))"


@pytest.fixture
def commit(hub: HubServer) -> str:
    """A repository of a small and a large file."""
    return hub.add_repo(REPO, FILES, lfs={"part/weights.safetensors"})


@pytest.fixture
def cache(places: Path) -> Path:
    """Where huggingface_hub keeps what it fetches."""
    return places / "home" / ".cache" / "huggingface" / "hub"


def entries(folder: Path) -> dict[str, Any]:
    """Every file below a folder: where its link leads, or its bytes."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[path.relative_to(folder).as_posix()] = path.readlink()
        elif path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def test_a_snapshot_and_what_is_left_of_it_without_the_server(
    hub: HubServer, online: Environment, commit: str, cache: Path
) -> None:
    snapshot = Path(run(online, SNAPSHOT).value)
    assert snapshot == cache / "models--org--name" / "snapshots" / commit
    assert {name: (snapshot / name).read_bytes() for name in FILES} == FILES
    asked = len(hub.requests)
    assert run(online, f"answer(snapshot_download({REPO!r}, local_files_only=True))").value == str(snapshot)
    assert len(hub.requests) == asked


def test_the_cache_made_by_hand_is_the_one_that_the_client_makes(
    online: Environment, commit: str, cache: Path, tmp_path: Path
) -> None:
    run(online, SNAPSHOT)
    by_hand = hub_cache(tmp_path / "hand", REPO, FILES, commit=commit)
    assert entries(by_hand.folder) == entries(cache / "models--org--name")


def test_one_file(hub: HubServer, online: Environment, commit: str) -> None:
    found = run(online, f"answer(hf_hub_download({REPO!r}, 'part/weights.safetensors'))").value
    assert Path(found).read_bytes() == WEIGHTS
    assert hub.bytes_sent("weights.safetensors") == len(WEIGHTS)
    assert hub.bytes_sent("config.json") == 0


def test_facts(online: Environment, commit: str) -> None:
    code = f"""
info = HfApi().repo_info({REPO!r}, files_metadata=True)
answer([info.sha, {{f.rfilename: [f.size, f.blob_id, f.lfs and f.lfs.sha256] for f in info.siblings}}])"""
    sha, siblings = run(online, code).value
    git = hashlib.sha1(b"blob 8\0" + FILES["config.json"]).hexdigest()
    assert sha == commit
    assert siblings["config.json"] == [8, git, None]
    assert siblings["part/weights.safetensors"][::2] == [len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest()]


def test_a_listing_in_pages(hub: HubServer, online: Environment) -> None:
    hub.shelf.page_size = 10
    hub.add_repo(REPO, {f"{n // 10}/{n}.json": b"{}" for n in range(45)})
    tree = f"HfApi().list_repo_tree({REPO!r}, recursive=True)"
    listed = run(online, f"answer(sorted(type(e).__name__ + ' ' + e.path for e in {tree}))").value
    files = [f"RepoFile {n // 10}/{n}.json" for n in range(45)]
    assert listed == sorted([*files, *(f"RepoFolder {n}" for n in range(5))])
    assert sum("/tree/" in request.path for request in hub.requests) == 5


def test_a_new_commit_and_an_old_one(hub: HubServer, online: Environment, commit: str) -> None:
    newer = hub.add_repo(REPO, {"config.json": b"{}"})
    code = (
        f"answer([hf_hub_download({REPO!r}, 'config.json', revision=r) for r in ('main', {commit!r}, {commit[:8]!r})])"
    )
    new, old, short = (Path(path) for path in run(online, code).value)
    assert (new.parent.name, old.parent.name, short.parent.name) == (newer, commit, commit)
    assert (new.read_bytes(), old.read_bytes()) == (b"{}", FILES["config.json"])


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("snapshot_download('org/other')", "RepositoryNotFoundError"),
        ("snapshot_download('org/name', revision='v9')", "RevisionNotFoundError"),
        ("hf_hub_download('org/name', 'absent.json')", "RemoteEntryNotFoundError"),
        ("hf_hub_download('org/gated', 'config.json')", "GatedRepoError"),
        (f"hf_hub_download('org/gated', 'config.json', token={OTHER_TOKEN!r})", "GatedRepoError"),
        (f"hf_hub_download('org/private', 'config.json', token={OTHER_TOKEN!r})", "RepositoryNotFoundError"),
        ("HfApi().whoami(token='hf_invented')", "HfHubHTTPError"),
        (f"hf_hub_download('org/gated', 'config.json', token={TOKEN!r})", ""),
        (f"hf_hub_download('org/private', 'config.json', token={TOKEN!r})", ""),
    ],
)
def test_refusals(hub: HubServer, online: Environment, commit: str, code: str, error: str) -> None:
    hub.add_repo("org/gated", {"config.json": b"{}"}, gated=True)
    hub.add_repo("org/private", {"config.json": b"{}"}, private=True)
    outcome = run(online, code)
    assert outcome.error == error, outcome.output


def test_the_token_goes_to_the_hub_and_nowhere_else(hub: HubServer, online: Environment, commit: str) -> None:
    run({**online, "HF_TOKEN": TOKEN}, f"{SNAPSHOT}; assert HfApi().whoami()['name'] == 'tester'")
    about = [request for request in hub.requests if "org/name" in request.path]
    assert {request.token for request in about if request.origin == "hub"} == {TOKEN}
    assert {request.token for request in about if request.origin == "cdn"} == {""}


def test_large_files_on_the_hub_itself(online: Environment, tmp_path: Path) -> None:
    with HubServer(same_origin=True) as hub:
        hub.add_repo(REPO, FILES, lfs={"part/weights.safetensors"})
        snapshot = Path(run({**online, "HF_ENDPOINT": hub.url}, SNAPSHOT).value)
        assert (snapshot / "part/weights.safetensors").read_bytes() == WEIGHTS
        assert {request.origin for request in hub.requests} == {"hub"}


def test_a_server_that_is_down_for_a_moment(hub: HubServer, online: Environment, commit: str) -> None:
    hub.misbehave("/resolve/*/config.json", Status(503), times=1, method="HEAD")
    assert run(online, SNAPSHOT).error == ""
    assert [r.status for r in hub.requests if r.method == "HEAD" and "config" in r.path] == [503, 200]


def test_what_a_killed_download_leaves(hub: HubServer, online: Environment, cache: Path) -> None:
    """huggingface_hub writes in steps of 10 MiB, into a file that it never uses again."""
    weights = random.Random(6).randbytes(24 << 20)
    hub.add_repo(REPO, {"model.safetensors": weights}, lfs={"model.safetensors"})
    hub.misbehave("model.safetensors", Stall(after=23 << 20))
    process = start(online, SNAPSHOT)
    blobs = cache / "models--org--name" / "blobs"
    assert hub.wait(lambda hub: hub.stalled, 50)
    left = eventually(lambda: [path for path in blobs.glob("*") if path.stat().st_size == 20 << 20], 20)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    sha256 = hashlib.sha256(weights).hexdigest()
    (partial,) = left
    assert partial.name.startswith(f"{sha256}.") and partial.name.endswith(".incomplete")
    assert len(partial.name) == len(f"{sha256}.01234567.incomplete")
    assert partial.read_bytes() == weights[: 20 << 20]
    hub.behave()
    hub.forget()
    run(online, SNAPSHOT)
    # The facts that our own downloader is there for: all is fetched again, and the partial file stays.
    assert hub.bytes_sent("model.safetensors") == len(weights)
    assert partial.exists()
