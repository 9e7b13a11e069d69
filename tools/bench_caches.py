"""What caches cost: scanning, hashing, downloading, resuming, and the dashboard meanwhile. Each against its floor.

- scan of 200 repositories with 20,000 files / `huggingface_hub.scan_cache_dir` on the same tree
- pick: everything that could race, with what lies in that tree / the same
- hashing / sha256sum, of one file on one core and of many on all
- download from a hub on this machine, hashed and published / curl; bytes sent twice where it is killed
- the dashboard on that tree: from its start to states in its table, and key to paint while the caches are looked at

Needs 4 GB in the folder for temporary files, for a while.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import cache_tree, report
from bench.report import Line

PARTS = ("scan", "pick", "hash", "download", "resume", "table", "keys")


@dataclass(frozen=True)
class Sizes:
    """How much is measured. `hashed` and `downloaded` are bytes of one file; the rest are counts."""

    repositories: int
    files: int
    scans: int
    hashed: int
    hashings: int
    downloaded: int
    downloads: int
    kills: int
    starts: int
    keys: int


FULL = Sizes(cache_tree.REPOSITORIES, cache_tree.FILES, 20, 512 << 20, 10, 512 << 20, 15, 10, 15, 300)
SHORT = Sizes(5, 20, 1, 1 << 20, 1, 1 << 20, 1, 1, 1, 4)


def measure(parts: Sequence[str], folder: Path, sizes: Sizes) -> list[Line]:
    """Measure some parts, one after the other, in a folder that is empty. Raises RuntimeError, TimeoutError."""
    lines: list[Line] = []
    if "hash" in parts:
        from bench.caches_hash import hash_lines

        lines += hash_lines(folder, sizes.hashed, sizes.hashings)
    if "download" in parts or "resume" in parts:
        from bench.caches_download import resume_line, throughput_line

        lines += [throughput_line(folder, sizes.downloaded, sizes.downloads)] if "download" in parts else []
        lines += [resume_line(folder, sizes.kills)] if "resume" in parts else []
    if not {"scan", "pick", "table", "keys"} & set(parts):
        return lines
    cache = folder / "hub"
    cache_tree.build(cache, sizes.repositories, sizes.files)
    if "scan" in parts or "pick" in parts:
        from bench.caches_scan import pick_lines, scan_line

        scans = [scan_line(cache, sizes.scans)] if "scan" in parts else []
        lines = [*scans, *(pick_lines(cache, sizes.scans) if "pick" in parts else []), *lines]
    if "table" in parts or "keys" in parts:
        from bench.caches_screen import damage, keys_line, table_line

        damage(cache)
        lines += [table_line(folder, cache, sizes.starts)] if "table" in parts else []
        lines += [keys_line(folder, cache, sizes.keys)] if "keys" in parts else []
    return lines


def chosen_parts(options: argparse.Namespace) -> list[Line]:
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="caches-") as folder:
        return measure(options.only or PARTS, Path(folder), SHORT if options.short else FULL)


def main() -> int:
    parser = report.options(__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part; may be given several times")
    parser.add_argument("--folder", type=Path, help="where temporary files are made (default: where the system does)")
    return report.run("caches", parser, chosen_parts)


if __name__ == "__main__":
    sys.exit(main())
