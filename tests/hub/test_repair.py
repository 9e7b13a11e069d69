"""Repairs that download: exactly what is needed, with the old content kept, whatever happens meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import damage
import pytest
import repairing
from caches import CHECKPOINT, MLX_CONFIG, HubCache, hub_cache, plain_folder, safetensors, shared_store, write
from downloading import FILES, add_model, weights
from misbehaviour import Stall, Status
from repos import add_checkpoint
from server import HubServer

from backends.base import ModelSpec
from speedtest_tui.core import locations
from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.models.hashes import checksum
from speedtest_tui.core.repair import trash
from speedtest_tui.core.repair.apply import Application, Progress
from speedtest_tui.core.repair.step import Plan
from speedtest_tui.core.repair.undo import find, undo

NAME, REPOSITORY = "weights.safetensors", "org/model"
SPEC = ModelSpec("hub", REPOSITORY, FILES)


WEIGHTS = safetensors(weights(1_000_000))


def planned(*specs: ModelSpec) -> Plan:
    return repairing.planned(*specs or (SPEC,))


def apply(*specs: ModelSpec) -> Progress:
    return repairing.apply(planned(*specs).chosen, *specs or (SPEC,))


@pytest.fixture
def made(hub: HubServer, online: dict[str, str]) -> HubCache:
    """A whole model in the HF cache, as the hub has it."""
    commit = add_model(hub, WEIGHTS)
    return hub_cache(locations.hf_cache(), REPOSITORY, {"config.json": MLX_CONFIG, NAME: WEIGHTS}, commit=commit)


def sent(hub: HubServer, name: str) -> int:
    """Bytes of a file that were sent, without those of redirects to it."""
    return sum(one.sent for one in hub.requests if one.path.endswith(name) and one.status in (200, 206))


def kept() -> list[bytes]:
    """The contents in the trash."""
    found = [folder / change.kept for entry in trash.entries() for folder, change in entry.changes if change.kept]
    return [path.read_bytes() for path in found if path.is_file() and not path.is_symlink()]


@pytest.mark.parametrize("harm", [damage.truncate, damage.extend, damage.pointer, damage.empty, damage.flip_byte])
def test_one_damaged_file_is_downloaded_and_nothing_else(
    hub: HubServer, made: HubCache, harm: Callable[[Path], None]
) -> None:
    harm(made.blob(NAME))
    damaged = made.blob(NAME).read_bytes()
    checksum(repairing.reports(SPEC), lambda *_: None, Event())
    done = apply()
    assert [(row.step.kind, row.state, row.message) for row in done.rows] == [("download", "done", "")]
    assert (made.file(NAME).read_bytes(), examine(SPEC, "hf").state) == (WEIGHTS, "complete")
    assert (sent(hub, NAME), sent(hub, "config.json")) == (len(WEIGHTS), 0)
    assert planned().steps == ()
    assert kept() == [damaged]
    undo(find())
    assert made.blob(NAME).read_bytes() == damaged


def test_a_damaged_shared_payload_is_repaired_for_everybody(hub: HubServer, made: HubCache) -> None:
    other = hub_cache(locations.hf_cache(), "org/other", {NAME: WEIGHTS})
    payload = shared_store(made, NAME)
    shared_store(other, NAME)
    damage.flip_byte(payload)
    checksum(repairing.reports(SPEC), lambda *_: None, Event())
    done = apply()
    assert [(row.state, row.message) for row in done.rows] == [("done", "")]
    assert made.file(NAME).read_bytes() == WEIGHTS
    assert payload.read_bytes() == WEIGHTS
    assert other.file(NAME).read_bytes() == WEIGHTS
    assert examine(SPEC, "hf").state == "complete"
    assert planned().chosen == ()


def test_a_download_of_huggingface_hub_is_continued(hub: HubServer, made: HubCache) -> None:
    damage.remove_file(made, NAME)
    damage.hub_partial(made, NAME, 700_000)
    damage.hub_partial(made, NAME, 100_000, suffix=".0badc0d2")
    done = apply()
    assert [(row.step.kind, row.state) for row in done.rows] == [("resume", "done"), ("clear-partial", "done")]
    assert sent(hub, NAME) == len(WEIGHTS) - 700_000
    assert examine(SPEC, "hf").state == "complete"
    assert planned().steps == ()


def test_where_the_hub_has_dropped_the_commit_its_main_is_downloaded(hub: HubServer, online: dict[str, str]) -> None:
    old = hub_cache(locations.hf_cache(), REPOSITORY, {"config.json": b"{}", NAME: WEIGHTS[:-1]}, commit="d" * 40)
    damage.truncate(old.blob(NAME))
    commit = add_model(hub, WEIGHTS)
    done = apply()
    assert done.rows[0].state == "done"
    state = examine(SPEC, "hf")
    assert (state.state, state.revision) == ("complete", commit)
    assert planned().chosen == ()


def test_a_link_out_of_the_cache_is_replaced_and_not_followed(hub: HubServer, made: HubCache, places: Path) -> None:
    secret = places / "secret"
    secret.write_bytes(b"nobody's business")
    damage.escape_link(made.file(NAME), secret)
    assert {row.state for row in apply().rows} == {"done"}
    assert secret.read_bytes() == b"nobody's business"
    assert made.file(NAME).read_bytes() == WEIGHTS
    assert planned().chosen == ()


def test_a_folder_where_a_file_belongs_goes_to_the_trash(made: HubCache) -> None:
    damage.folder_for_file(made.blob(NAME))
    (made.blob(NAME) / "precious").write_bytes(b"mine")
    assert {(row.state, row.message) for row in apply().rows} == {("done", "")}
    assert examine(SPEC, "hf").state == "complete"
    assert planned().chosen == ()
    undo(find())
    assert (made.blob(NAME) / "precious").read_bytes() == b"mine"


def test_a_damaged_plain_folder_is_made_good_beside_it(hub: HubServer, online: dict[str, str]) -> None:
    add_model(hub, WEIGHTS)
    folder = plain_folder(locations.local_cache() / "org--model", {"config.json": b"{}", NAME: WEIGHTS[:-9]})
    assert [str(folder) in step.what for step in planned().chosen] == [True]
    assert {(row.state, row.message) for row in apply().rows} == {("done", "")}
    assert examine(SPEC, "local").state == "complete"
    assert (folder / NAME).read_bytes() == WEIGHTS[:-9]
    assert planned().chosen == ()


@pytest.mark.parametrize("cache", ["whisper", "local"])
def test_a_damaged_checkpoint_is_downloaded_again(hub: HubServer, online: dict[str, str], cache: str) -> None:
    spec = add_checkpoint(hub, CHECKPOINT)
    root = locations.whisper_cache() if cache == "whisper" else locations.local_cache()
    path = write(root / spec.files[0].names[0], CHECKPOINT)
    damage.truncate(path)
    damaged = path.read_bytes()
    done = apply(spec)
    assert [(row.step.kind, row.state, row.message) for row in done.rows] == [("download", "done", "")]
    assert path.read_bytes() == CHECKPOINT
    # What was there is the beginning of the file: only the rest is downloaded.
    assert sent(hub, path.name) == len(CHECKPOINT) - len(damaged)
    assert kept() == [damaged]
    assert planned(spec).steps == ()
    undo(find())
    assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    "trouble", [HubServer.close, lambda hub: hub.misbehave(f"*{NAME}", Status(404))], ids=["no network", "gone"]
)
def test_what_cannot_be_downloaded_leaves_the_damaged_file_and_keeps_nothing_of_it(
    hub: HubServer, made: HubCache, trouble: Callable[[HubServer], None]
) -> None:
    damage.truncate(made.blob(NAME))
    damaged = made.blob(NAME).read_bytes()
    trouble(hub)
    done = apply()
    assert [row.state for row in done.rows] == ["failed"]
    assert ": " in done.rows[0].message
    assert made.blob(NAME).read_bytes() == damaged
    assert trash.entries() == ()


def test_cancelled_while_it_downloads_the_old_file_stays_and_the_next_repair_continues(
    hub: HubServer, made: HubCache
) -> None:
    damage.truncate(made.blob(NAME))
    damaged = made.blob(NAME).read_bytes()
    hub.misbehave(f"*{NAME}", Stall(400_000), times=1)
    cancelled = Event()
    application = Application(planned().chosen, cancelled=cancelled)
    thread = Thread(target=application.run)
    thread.start()
    assert hub.wait(lambda server: server.stalled)
    cancelled.set()
    thread.join()
    assert application.snapshot.state == "cancelled"
    assert made.blob(NAME).read_bytes() == damaged
    hub.release()
    hub.forget()
    assert {(row.state, row.message) for row in apply().rows} == {("done", "")}
    assert examine(SPEC, "hf").state == "complete"
    assert planned().chosen == ()


REPAIR = """
import sys
sys.path[:0] = {paths!r}
from test_repair import apply
apply()
"""


def test_killed_while_it_downloads_the_next_repair_continues(
    hub: HubServer, made: HubCache, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage.truncate(made.blob(NAME))
    damaged = made.blob(NAME).read_bytes()
    hub.misbehave(f"*{NAME}", Stall(400_000), times=1)
    here = Path(__file__).parent
    code = REPAIR.format(paths=[str(here), str(here.parent)])
    process = subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ), stderr=subprocess.PIPE)
    assert hub.wait(lambda server: server.stalled)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert made.blob(NAME).read_bytes() == damaged
    hub.release()
    assert {(row.state, row.message) for row in apply().rows} == {("done", "")}
    assert made.file(NAME).read_bytes() == WEIGHTS
    assert damaged in kept()
    for entry in trash.entries():
        assert undo(entry).complete
    assert made.blob(NAME).read_bytes() == damaged
