"""Convert a nano checkpoint of NeMo's and put it into this package, as one compact file that is unpacked on first use.

    python ship.py parakeet-nano parakeet-nano.nemo
    python ship.py canary-nano canary-nano.nemo

The same checkpoint gives the same bytes with the same versions of this program and its libraries. Where the conversion
or its proof fails, or the file would be too large, the package stays as it is. Needs the extras `mlx` and
`transformers`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from backends.embedded import layouts
from speedtest_tui.core import disk as atomic
from speedtest_tui.core.convert.convert import Converted, convert
from speedtest_tui.core.errors import UserError

LARGEST_BYTES = 3_000_000
ARCHIVES = {"parakeet-nano": layouts.PARAKEET, "canary-nano": layouts.CANARY}


def ship(checkpoint: Path, archive: Path) -> Converted:
    """Convert `checkpoint` to float16 and make it the content of `archive`. Raises UserError, OSError."""
    with tempfile.TemporaryDirectory() as scratch:
        converted = convert(checkpoint, Path(scratch) / "model", "float16")
        without_time(converted.folder / "conversion.json")
        made = Path(scratch) / archive.name
        layouts.pack(converted.folder, made)
        check(made, converted.folder)
        atomic.write_bytes(archive, made.read_bytes())
        archive.chmod(0o644)
    return converted


def without_time(proof: Path) -> None:
    """Leave the time of the conversion out, in which alone two conversions differ."""
    facts = json.loads(proof.read_text(encoding="utf-8"))
    del facts["created"]
    proof.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def check(archive: Path, source: Path) -> None:
    """Compare what comes out of an archive with what went in. Raises UserError."""
    size = archive.stat().st_size
    if size > LARGEST_BYTES:
        limit = f"{LARGEST_BYTES / 1e6:.0f} MB"
        raise UserError(f"{archive.name} would have {size / 1e6:.2f} MB", f"train a smaller model: {limit} may ship")
    with tempfile.TemporaryDirectory() as unpacked:
        names = layouts.unpack(archive, Path(unpacked))
        same = all((source / name).read_bytes() == (Path(unpacked) / name).read_bytes() for name in names)
    if set(names) != {path.name for path in source.iterdir()} or not same:
        raise UserError(f"{archive.name} came back different", "report it")


def main() -> int:
    parser = argparse.ArgumentParser(description="Convert a nano checkpoint and put it into this package.")
    parser.add_argument("name", choices=ARCHIVES, metavar="NAME", help=" or ".join(ARCHIVES))
    parser.add_argument("checkpoint", type=Path, metavar="IN.nemo")
    chosen = parser.parse_args()
    archive = ARCHIVES[chosen.name]
    try:
        report = ship(chosen.checkpoint, archive).report
    except (UserError, OSError) as error:
        print(f"ship: {error}", file=sys.stderr)
        return 1
    size = archive.stat().st_size / 1e6
    print(f"{archive.name}: {report.family}, {report.parameters:,} parameters, {size:.2f} MB")
    for stage in report.stages:
        print(f"  {stage.stage}: {stage.relative:.1e} from PyTorch (root mean square, relative to its own)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
