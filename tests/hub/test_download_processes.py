"""Downloads in children: killed at any point and continued, two at once, beside the real client, cancelled, queued."""

from __future__ import annotations

import os
import random
from pathlib import Path

import clients
import pytest
from child import finish, start
from contents import Content
from downloading import (
    REPOSITORY,
    add_model,
    assert_complete,
    folder,
    large_bytes,
    left_over,
    partial,
    request,
    served,
    size_of,
    wait_until,
    weights,
)
from misbehaviour import Slow, Stall
from server import HubServer

from speedtest_tui.core.download.incoming import HELD_BYTES
from speedtest_tui.core.download.request import Patience
from speedtest_tui.core.process import launch

DATA = weights(8_000_000)
CHUNK = HELD_BYTES
"""What may have come without being in the file yet, and so what a kill may lose."""

PATIENT = Patience(stall_s=20)


@pytest.mark.timeout(150)
def test_killed_at_ten_points_and_continued_without_downloading_anything_twice(
    hub: HubServer, online: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "cache"
    commit = add_model(hub, DATA)
    points = sorted(random.Random(4).sample(range(1, len(DATA)), 10))
    kept = 0
    for point in points:
        hub.behave()
        hub.forget()
        hub.misbehave("/lfs/*", Stall(after=max(0, point - kept)))
        process = start(request(root, patience=PATIENT))
        assert hub.wait(lambda hub: hub.stalled and served(hub))
        # All that was sent has arrived when the file stops growing at the point where the server stopped.
        wait_until(lambda point=point: size_of(partial(root, DATA)) >= point - CHUNK)  # type: ignore[misc]
        process.kill()
        finish(process)
        begun = [entry.start for entry in hub.requests if entry.path.startswith("/lfs/") and entry.method == "GET"]
        assert begun == [kept]
        now = size_of(partial(root, DATA))
        assert point - CHUNK <= now <= point, "a kill loses less than a chunk"
        assert now >= kept, "nothing that was there before is lost"
        kept = now
    hub.behave()
    hub.forget()
    assert finish(start(request(root, patience=PATIENT)))["event"] == "Finished"
    assert [entry.start for entry in hub.requests if entry.path.startswith("/lfs/")] == [kept]
    assert large_bytes(hub) == len(DATA) - kept
    assert_complete(root, DATA, commit)


@pytest.mark.timeout(150)
def test_killed_at_random_moments_in_full_flight(hub: HubServer, online: dict[str, str], tmp_path: Path) -> None:
    root = tmp_path / "cache"
    commit = add_model(hub, DATA)
    hub.misbehave("/lfs/*", Slow(4_000_000))
    kept = 0
    rest = random.Random(7)
    for _ in range(4):
        hub.forget()
        process = start(request(root, patience=PATIENT))
        target = kept + rest.randrange(200_000, 1_500_000)
        wait_until(lambda target=target: size_of(partial(root, DATA)) >= target)  # type: ignore[misc]
        process.kill()
        finish(process)
        now = size_of(partial(root, DATA))
        assert [entry.start for entry in hub.requests if entry.path.startswith("/lfs/")] == [kept]
        assert now >= target
        kept = now
    hub.behave()
    hub.forget()
    assert finish(start(request(root, patience=PATIENT)))["event"] == "Finished"
    assert large_bytes(hub) == len(DATA) - kept
    assert_complete(root, DATA, commit)


@pytest.mark.timeout(150)
def test_two_of_ours_at_once_fetch_everything_once(hub: HubServer, online: dict[str, str], tmp_path: Path) -> None:
    root = tmp_path / "cache"
    commit = add_model(hub, DATA)
    hub.misbehave("/lfs/*", Stall(after=1_000_000), times=1)
    first = start(request(root, patience=PATIENT))
    assert hub.wait(lambda hub: hub.stalled)
    second = start(request(root, patience=PATIENT))
    assert second.stdout
    said = b""
    while b"another program is downloading" not in said:
        data = os.read(second.stdout.fileno(), 65536)
        assert data, "the second did not wait"
        said += data
    hub.release()
    assert finish(first)["event"] == finish(second)["event"] == "Finished"
    assert large_bytes(hub) == len(DATA)
    assert_complete(root, DATA, commit)


@pytest.mark.timeout(150)
def test_beside_the_real_client(hub: HubServer, online: dict[str, str], tmp_path: Path) -> None:
    root = tmp_path / "cache"
    commit = add_model(hub, DATA)
    hub.misbehave("/lfs/*", Stall(after=1_000_000), times=1)
    ours = start(request(root, patience=PATIENT))
    assert hub.wait(lambda hub: hub.stalled)
    code = f"answer(snapshot_download({REPOSITORY!r}))"
    theirs = clients.start({**online, "HF_HUB_CACHE": str(root)}, code)
    assert hub.wait(lambda hub: any(entry.agent.startswith("unknown/None") for entry in hub.requests))
    hub.release()
    assert finish(ours)["event"] == "Finished"
    output, errors = theirs.communicate(timeout=60)
    assert theirs.returncode == 0, errors
    assert str(folder(root) / "snapshots" / commit) in output
    assert_complete(root, DATA, commit)


@pytest.mark.timeout(150)
def test_what_the_real_client_leaves_when_it_is_killed_is_continued(
    hub: HubServer, online: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "cache"
    data = weights(24_000_000, seed=9)
    commit = add_model(hub, data)
    hub.misbehave("/lfs/*", Stall(after=22_000_000), times=1)
    code = f'hf_hub_download({REPOSITORY!r}, "weights.safetensors")'
    theirs = clients.start({**online, "HF_HUB_CACHE": str(root)}, code)
    assert hub.wait(lambda hub: hub.stalled)
    blobs = folder(root) / "blobs"
    # It writes 10 MiB at a time.
    wait_until(lambda: any(path.stat().st_size >= 10 << 20 for path in blobs.glob("*.????????.incomplete")))
    theirs.kill()
    theirs.communicate()
    left = max(path.stat().st_size for path in blobs.glob("*.????????.incomplete"))
    hub.release()
    hub.forget()
    assert finish(start(request(root, patience=PATIENT)))["event"] == "Finished"
    assert [entry.start for entry in hub.requests if entry.path.startswith("/lfs/")] == [left]
    assert large_bytes(hub) == len(data) - left
    assert_complete(root, data, commit)


def test_a_child_ends_with_its_parent(
    hub: HubServer, online: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lifeline: list[int] = []
    monkeypatch.setattr(launch, "_lifeline", lifeline)
    add_model(hub, DATA)
    hub.misbehave("/lfs/*", Stall(after=1_000_000))
    process = start(request(tmp_path / "cache", patience=PATIENT))
    assert hub.wait(lambda hub: hub.stalled)
    for descriptor in lifeline:
        os.close(descriptor)
    assert process.wait(10) < 0
    for stream in (process.stdin, process.stdout, process.stderr):
        assert stream
        stream.close()


def test_a_lock_that_is_never_let_go(hub: HubServer, online: dict[str, str], tmp_path: Path) -> None:
    import filelock

    root = tmp_path / "cache"
    add_model(hub, DATA)
    lock = root / ".locks" / folder(root).name / f"{Content(DATA, True).etag}.lock"
    lock.parent.mkdir(parents=True)
    with filelock.FileLock(lock):
        said = finish(start(request(root, patience=Patience(stall_s=20, lock_s=0.5))))
    assert said["event"] == "Failed"
    assert said["kind"] == "locked"
    assert not list(left_over(root))
