"""The race: plan, schedule, child processes, the supervisor that drives them, statistics and verdict."""

from __future__ import annotations
