"""Repairing caches: a plan first, every change written down before it happens, and nothing deleted."""

from __future__ import annotations
