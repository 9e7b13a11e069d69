"""From options to a plan: what `run` and the dashboard ask for in the same words."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backends.catalogue import SIZES
from backends.registry import create, entries
from speedtest_tui.cli import DEMO_RUNS, backend_names
from speedtest_tui.commands.backend_options import options_from
from speedtest_tui.core.bench.plan import DEFAULT_RUNS, DEFAULT_WARMUP, Plan, choose
from speedtest_tui.core.bench.stall import DEFAULT_STALL_S
from speedtest_tui.core.caches.converted import model_of, size_from
from speedtest_tui.core.errors import UserError


def plan_from(options: argparse.Namespace, settings: Mapping[str, Mapping[str, str]] | None = None) -> Plan:
    """Build the plan; `settings` are options of backends that --option may replace.

    Raises UserError for a size or backend that nobody knows, and for counts out of range.
    """
    size = size_from(options.size or SIZES[0])
    known = entries()
    chosen = choose(backend_names(options.backends), known, size)
    if size not in SIZES and not any(_knows(entry.reference, size) for entry in chosen):
        known_sizes = f"choose from {', '.join(SIZES)}, or name a model's folder"
        raise UserError(f"no backend has a model of size {size!r}", known_sizes)

    def given(name: str, default: Any) -> Any:
        value = getattr(options, name, None)
        return default if value is None else value

    return Plan(
        backends=chosen,
        size=size,
        runs=given("runs", DEMO_RUNS if options.demo else DEFAULT_RUNS),
        warmup=given("warmup", DEFAULT_WARMUP),
        order=given("order", "interleaved"),
        language=_language(given("language", None)),
        stall_s=given("timeout", DEFAULT_STALL_S),
        options=options_from(options.option, settings or {}, known),
    )


def _knows(reference: str, size: str) -> bool:
    from backends.base import BackendError

    try:
        return model_of(create(reference), size) is not None
    except BackendError:
        return False


def _language(code: str | None) -> str | None:
    """A two- or three-letter code, or None for detection ("auto")."""
    if code is None or code.lower() == "auto":
        return None
    if not (code.isascii() and code.isalpha() and 2 <= len(code) <= 3):
        raise UserError(f"language {code!r}", "give a code such as en or de, or leave it out to detect it")
    return code.lower()


def reference_text(option: str | None) -> str | None:
    """The text of --reference, read from a file where it begins with @. Raises UserError."""
    if option is None:
        return None
    text = option
    if option.startswith("@"):
        path = Path(option[1:]).expanduser()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise UserError(f"reference file {path} cannot be read", f"{reason}") from None
    if not text.strip():
        raise UserError("the reference text is empty", "write what is said in the clip, or leave --reference out")
    return text.strip()
