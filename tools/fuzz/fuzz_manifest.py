"""Lists, refs and results that are damaged: `python tools/fuzz/fuzz_manifest.py [--rounds N] [--seed S]`.

Each round makes caches with a repository, a built-in, a converted and a plain model, and results of checks beside them;
changes one or two of the files that say what there is; and reads all of it, plans and takes its repair without the
network, and undoes that.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from pathlib import Path

from common import Room, fuzz, mutate, mutate_json

from backends.base import ModelSpec, RequiredFile
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.jobs.overview import inspect_caches
from speedtest_tui.core.models import manifest, remembered
from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.models.status import Verification
from speedtest_tui.core.models.wording import of_caches
from speedtest_tui.core.repair import undo
from speedtest_tui.core.repair.apply import Application
from speedtest_tui.core.repair.step import DOWNLOADS

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SPEC = ModelSpec("hub", "org/name", (RequiredFile(("config.json",)), RequiredFile(("weights.safetensors",))))
STARTED = "2026-01-01T00:00:00+00:00"
FILES = {"config.json": b"{}", "weights.safetensors": (2).to_bytes(8, "little") + b"{}"}


def furnish(folder: Path) -> list[Path]:
    """Make the caches and what is known of them; returns the files that a round may change."""
    hub, local = folder / "hub", folder / "models"
    repository = hub / "models--org--name"
    snapshot = repository / "snapshots" / COMMIT
    for place in (repository / "blobs", snapshot, repository / "refs", repository / "trees"):
        place.mkdir(parents=True)
    entries = {}
    for name, content in FILES.items():
        sha256 = hashlib.sha256(content).hexdigest()
        (repository / "blobs" / sha256).write_bytes(content)
        (snapshot / name).symlink_to(f"../../blobs/{sha256}")
        entries[name] = manifest.ManifestFile(len(content), sha256, sha256)
    manifest.write(repository, COMMIT, entries)
    (repository / "refs" / "main").write_text(COMMIT)
    listed = [repository / "trees" / f"{COMMIT}.json", repository / "refs" / "main"]
    embedded = local / "embedded" / "nano-0123456789ab" / "mlx"
    for model in (embedded, local / "converted" / "one", local / "org" / "plain"):
        model.mkdir(parents=True)
        for name, content in FILES.items():
            (model / name).write_bytes(content)
            listed.append(model / name)
    files = {name: {"bytes": len(content), "sha256": "a" * 64} for name, content in FILES.items()}
    (embedded / "manifest.json").write_text(json.dumps({"files": files}))
    (local / "converted" / "one" / "conversion.json").write_text(json.dumps({"schema": 1, "source": "x.nemo"}))
    listed += [embedded / "manifest.json", local / "converted" / "one" / "conversion.json"]
    weights = (snapshot / "weights.safetensors").resolve()
    status = weights.stat()
    hashed = remembered.Hashed(status.st_size, status.st_mtime_ns, weights.name, True)
    remembered.HASHES.keep({str(weights): hashed})
    verified = Verification("ok", "fine", str(snapshot), 1.0, "f", STARTED)
    remembered.VERIFICATIONS.keep({f"toy {snapshot}": verified})
    listed += [remembered.HASHES.file(), remembered.VERIFICATIONS.file()]
    index = json.dumps({"metadata": {"total_size": 4}, "weight_map": {"a": "weights.safetensors"}})
    (local / "org" / "plain" / "model.safetensors.index.json").write_text(index)
    return [*listed, local / "org" / "plain" / "model.safetensors.index.json"]


def round_of(room: Room) -> None:
    """One round."""
    os.environ.update(HF_HUB_CACHE=str(room.folder / "hub"), SPEEDTEST_MODELS_DIR=str(room.folder / "models"))
    for path in room.dice.sample(furnish(room.folder), room.dice.choice((1, 1, 2))):
        content = path.read_bytes()
        path.write_bytes(mutate_json(content, room.dice) if path.suffix == ".json" else mutate(content, room.dice))
    for file in (remembered.HASHES, remembered.VERIFICATIONS):
        file.known()
    examine(SPEC, "hf")
    (*_, overview) = inspect_caches((), threading.Event())
    assert overview.done
    for problem in of_caches(overview.stored, overview.uses, overview.reports):
        assert str(problem.advice).isprintable(), problem
    steps = [step for step in overview.plan.steps if step.kind not in (*DOWNLOADS, "unpack")]
    done = Application(steps).run()
    assert not done.message, done.message
    try:
        undo.undo(undo.find(done.entry)) if done.entry else None
        remembered.HASHES.keep({})
    except UserError as error:
        assert "\n" not in str(error), error


if __name__ == "__main__":
    sys.exit(fuzz("lists and results of caches", round_of, short=60))
