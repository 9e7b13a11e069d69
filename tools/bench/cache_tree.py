"""A synthetic Hugging Face cache in the layout of huggingface_hub 2.4: many repositories of many small files.

`python tools/bench/cache_tree.py FOLDER` builds it and compares `core.models.scan` with `scan_cache_dir` on it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from speedtest_tui.core.models.configs import TRANSFORMERS
from speedtest_tui.core.models.layout import repository_folder
from speedtest_tui.core.models.manifest import ManifestFile, write
from speedtest_tui.core.models.scan import scan

REPOSITORIES, FILES = 200, 100
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_BYTES = 2_000_000
FOLDERS = ("", "", "", "onnx/", "tokenizer/")
"""Where in its repository a file lies: most are at the top."""
KINDS = ("whisper", "bert")
"""What the models are: every second one can race."""


def build(cache: Path, repositories: int = REPOSITORIES, files: int = FILES) -> None:
    """Make a cache below `cache`, which must not exist: blobs, links to them, refs and lists of files."""
    cache.mkdir(parents=True)
    for number in range(repositories):
        _repository(repository_folder(cache, f"owner-{number % 20}/model-{number}"), number, files)


def _repository(folder: Path, number: int, files: int) -> None:
    snapshot = folder / "snapshots" / COMMIT
    for part in (folder / "blobs", folder / "refs", *(snapshot / below for below in FOLDERS)):
        part.mkdir(parents=True, exist_ok=True)
    listed = {}
    for index in range(files):
        large = index % 10 == 0
        below = FOLDERS[index % len(FOLDERS)]
        name = f"{below}part-{index:03d}.{'bin' if large else 'json'}"
        label = f"{number} {index}".encode()
        if index == 1:
            name, label = "config.json", json.dumps({"model_type": KINDS[number % len(KINDS)], **TRANSFORMERS}).encode()
        # Only names and sizes are looked at: large files are holes, and no blob has the hash that it is named by.
        size = LARGE_BYTES if large else len(label)
        listed[name] = ManifestFile(size, hashlib.sha1(label).hexdigest(), hashlib.sha256(label).hexdigest() * large)
        with (folder / "blobs" / listed[name].etag).open("wb") as blob:
            blob.write(label)
            blob.truncate(size)
        (snapshot / name).symlink_to(f"{'../' if below else ''}../../blobs/{listed[name].etag}")
    (folder / "refs" / "main").write_text(COMMIT)
    write(folder, COMMIT, listed)


def seconds(action: Callable[[], object]) -> float:
    """How long one call takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def compare(cache: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of our scan and of huggingface_hub's, in turns; both have seen the folder once before."""
    from huggingface_hub import scan_cache_dir

    def ours() -> int:
        return sum(1 for _ in scan([("hf", cache)]))

    def theirs() -> int:
        return len(scan_cache_dir(cache).repos)

    if ours() != theirs():
        raise SystemExit("the two scans do not find the same repositories")
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the cache is made; used as it is where it exists")
    parser.add_argument("--repositories", type=int, default=REPOSITORIES, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    chosen = parser.parse_args()
    if not chosen.folder.exists():
        build(chosen.folder, chosen.repositories)
    ours, theirs = compare(chosen.folder, chosen.rounds)
    print(f"scan {min(ours):.3f} s, scan_cache_dir {min(theirs):.3f} s: {min(ours) / min(theirs):.3f} of its time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
