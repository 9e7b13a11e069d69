"""Between the screens and the core: messages, and the threads that start a job or a race and post its frozen rows."""

from __future__ import annotations
