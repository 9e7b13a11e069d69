"""Whole screens, each beside its stylesheet."""

from __future__ import annotations
