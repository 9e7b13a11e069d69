"""How bytes on disk are written in sentences: "37 MB", "37 of 483 MB", in units of 10^3."""

from __future__ import annotations

UNITS = (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000))


def amount(count: int) -> str:
    """ "1 byte", "3.1 kB", "483 MB", "1.62 GB": three digits at most."""
    if count == 1:
        return "1 byte"
    unit, factor = _unit(count)
    return f"{_digits(count, factor)} {unit}"


def of(have: int, whole: int | None) -> str:
    """ "37 of 483 MB"; "37 MB so far" where the whole is unknown. Never "483 of 483 MB" while some are missing."""
    if whole is None:
        return f"{amount(have)} so far"
    unit, factor = _unit(max(have, whole))
    if have != whole and _digits(have, factor) == _digits(whole, factor):
        return f"{have:,} of {whole:,} bytes"
    return f"{_digits(have, factor)} of {_digits(whole, factor)} {unit}"


def _unit(count: int) -> tuple[str, int]:
    return next((entry for entry in UNITS if count >= entry[1]), ("bytes", 1))


def _digits(count: int, factor: int) -> str:
    value = count / factor
    if factor == 1 or value >= 100 or count == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}".rstrip("0").rstrip(".")
