"""Where model files live on this machine, what each means, and which of them can be loaded."""

from __future__ import annotations
