"""Finished races on disk, and the formats they are shared in."""

from __future__ import annotations
