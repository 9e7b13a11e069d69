"""What came of loading models, kept across starts: one small JSON file, by backend and path."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from speedtest_tui.core import disk as atomic
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.locations import verifications_file
from speedtest_tui.core.models.status import Verification

SCHEMA = 1

Known = dict[str, dict[str, dict[str, Any]]]
"""Fields of a Verification by backend, then by path; the path of a model that its library carries is ""."""

TYPES = {
    "ok": (bool,), "message": (str,), "path": (str,), "seconds": (int, float), "fingerprint": (str,),
    "checked_at": (str,),
}  # fmt: skip


def recall(backend: str, path: Path | str | None, fingerprint: str) -> Verification | None:
    """What is known of a backend's model at a path, or None; stale where the fingerprint is another by now.

    Never raises: what cannot be read is not known.
    """
    with contextlib.suppress(OSError, ValueError):
        found = _read(verifications_file()).get(backend, {}).get(str(path or ""))
        if found is not None:
            return replace(_verification(found), stale=found["fingerprint"] != fingerprint)
    return None


def remember(backend: str, verification: Verification) -> None:
    """Keep a verification in the place of an earlier one of the same backend and path.

    What other processes have written meanwhile stays. A file that cannot be understood is moved aside, not overwritten.
    Raises UserError where the file cannot be written.
    """
    file = verifications_file()
    fields = asdict(verification)
    del fields["stale"]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic.locked(file):
            known = _read_to_write(file)
            known.setdefault(backend, {})[verification.path] = fields
            atomic.write_text(file, json.dumps({"schema": SCHEMA, "verifications": known}, indent=1) + "\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"{file}: what came of the check cannot be kept ({reason})", "make its folder writable, then check again"
        ) from error


def _read(file: Path) -> Known:
    """Everything kept; nothing where there is no file yet. Raises ValueError where it is damaged, and OSError."""
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except RecursionError:
        raise ValueError(f"{file} is nested too deeply") from None
    known = content.get("verifications") if isinstance(content, dict) and content.get("schema") == SCHEMA else None
    if not isinstance(known, dict) or not all(isinstance(by_path, dict) for by_path in known.values()):
        raise ValueError(f"{file} is no list of verifications")
    return known


def _read_to_write(file: Path) -> Known:
    try:
        return _read(file)
    except ValueError:
        number = 1
        while (aside := file.with_name(f"{file.stem}.damaged-{number}{file.suffix}")).exists():
            number += 1
        file.rename(aside)
        return {}


def _verification(fields: object) -> Verification:
    """Raises ValueError where fields are missing or of another type."""
    if not isinstance(fields, dict) or not all(isinstance(fields.get(key), types) for key, types in TYPES.items()):
        raise ValueError("no verification")
    return Verification(**{key: fields[key] for key in TYPES})
