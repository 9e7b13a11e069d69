"""What the lists of the dashboard offer."""

from __future__ import annotations

from collections.abc import Sequence

from backends.base import BackendEntry
from backends.catalogue import SIZES
from speedtest_tui.core import figures
from speedtest_tui.core.caches.overview import ModelState
from speedtest_tui.core.languages import LANGUAGES
from speedtest_tui.ui.screens.choice import Choice

AUTO = "auto"

SIZE_DETAILS = {
    "nano": "built in: ranks overhead, knows about 70 words",
    "tiny": "39 M parameters",
    "base": "74 M parameters",
    "small": "244 M parameters",
    "medium": "769 M parameters",
    "large": "what each backend calls large: turbo for some, large-v3 for others",
    "large-v2": "1550 M parameters",
    "large-v3": "1550 M parameters",
    "turbo": "809 M parameters",
}
"""Parameter counts of OpenAI's Whisper sizes (model card in openai/whisper); parakeet-mlx has one model for all."""


def sizes() -> tuple[Choice, ...]:
    return tuple(Choice(size, size, SIZE_DETAILS[size]) for size in SIZES)


def languages() -> tuple[Choice, ...]:
    return (
        Choice(AUTO, AUTO, "each backend detects it"),
        *(Choice(code, code, name) for code, name in LANGUAGES.items()),
    )


def backends(entries: Sequence[BackendEntry], states: Sequence[ModelState]) -> tuple[Choice, ...]:
    """All backends with what is known of their models."""
    known = {state.backend: state for state in states}
    choices = []
    for entry in entries:
        state = known.get(entry.name)
        size = f", {figures.megabytes(state.bytes / 1e6)}" if state and state.bytes else ""
        choices.append(Choice(entry.name, entry.name, f"{state.model} · {state.where}{size}" if state else ""))
    return tuple(choices)
