"""What both front ends can have done, each once: race, verify, checksum, download, repair, convert."""

from __future__ import annotations
