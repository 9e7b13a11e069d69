"""Child processes: how one is started, talked to and ended, from both sides."""

from __future__ import annotations
