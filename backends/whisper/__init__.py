"""The implementations of OpenAI's Whisper."""

from __future__ import annotations
