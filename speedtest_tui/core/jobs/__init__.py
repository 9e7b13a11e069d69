"""What both front ends can have done, each once: race, verify, checksum, download, repair, convert,
doctor, overview."""

from __future__ import annotations
