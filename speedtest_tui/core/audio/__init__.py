"""Clips: reading files into samples, and what is wrong with them."""

from __future__ import annotations
