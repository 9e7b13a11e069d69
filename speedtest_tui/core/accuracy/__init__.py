"""How good a text is, measured against what was really said."""

from __future__ import annotations
