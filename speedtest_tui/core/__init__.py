"""The part of the program that knows nothing of screens: audio, timing, caches, sessions. Never imports textual."""

from __future__ import annotations
