"""Fixtures of this folder."""

from __future__ import annotations

from still import still_app

__all__ = ["still_app"]
