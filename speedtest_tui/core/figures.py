"""How figures are written, on every screen and in every export: always with a unit, to three digits that matter."""

from __future__ import annotations

from collections.abc import Mapping

DASH = "–"


def seconds(value: float | None) -> str:
    """ "0.145 s", "12.3 s", "3 min 05 s"; milliseconds are the last digit worth showing."""
    if value is None:
        return DASH
    if value >= 600:
        return f"{int(value // 60)} min {int(value % 60):02d} s"
    if value >= 100:
        return f"{value:.0f} s"
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s" if value >= 1 else f"{value:.3f} s"


def ticking(value: float) -> str:
    """A duration that is still growing: one decimal, so that it neither jumps in width nor flickers."""
    return f"{max(0.0, value):.1f} s"


def half_width(low: float, high: float) -> str:
    """Half of an interval, "±0.003", with as many digits as make it non-zero down to a millisecond."""
    half = (high - low) / 2
    return f"±{half:.3f}" if half < 1 else f"±{half:.2f}" if half < 10 else f"±{half:.1f}"


def rtfx(value: float | None) -> str:
    """ "23.6×": audio seconds per processing second."""
    if value is None:
        return DASH
    return f"{value:.0f}×" if value >= 100 else f"{value:.1f}×" if value >= 10 else f"{value:.2f}×"


def slower(ratio: float) -> str:
    """ "2.8× slower"."""
    digits = 0 if ratio >= 10 else 1 if ratio >= 1.15 else 2
    return f"{ratio:.{digits}f}× slower"


def megabytes(value: float | None) -> str:
    """ "139 MB", "1.4 GB", from units of 10^6 bytes."""
    if value is None:
        return DASH
    return f"{value / 1000:.1f} GB" if value >= 1000 else f"{value:.0f} MB"


def measured(own: Mapping[str, float]) -> str:
    """ "first word 1.02 s, lag max 0.061 s": what a backend measured itself; names that end in "_s" are seconds."""
    return ", ".join(
        f"{name.removesuffix('_s').replace('_', ' ')} {seconds(value) if name.endswith('_s') else f'{value:g}'}"
        for name, value in own.items()
    )


def percent(share: float | None) -> str:
    """ "11 %" from a share of 1."""
    return DASH if share is None else f"{share * 100:.0f} %"
