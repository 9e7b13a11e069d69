"""Everything that is typed: the table of commands, options, tables and live progress on a terminal."""

from __future__ import annotations
