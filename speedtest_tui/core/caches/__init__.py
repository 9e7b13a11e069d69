"""Where model files live on this machine, and which of them can be loaded."""

from __future__ import annotations
