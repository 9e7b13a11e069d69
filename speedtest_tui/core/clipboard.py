"""Handing text to the system's clipboard by its own program, where the terminal cannot do it by escape sequence.

OSC 52 is the way that works over SSH and in tmux; Apple's Terminal ignores it, and so do some others, silently.
"""

from __future__ import annotations

import shutil
import subprocess

PROGRAMS = (
    ("pbcopy",),
    ("wl-copy",),
    ("xclip", "-selection", "clipboard"),
    ("xsel", "--clipboard", "--input"),
    ("clip.exe",),
)
TIMEOUT_S = 2.0


def copy(text: str) -> str:
    """Give `text` to the first clipboard program there is; returns its name, or "" where none took it. May block."""
    for program, *options in PROGRAMS:
        path = shutil.which(program)
        if path is None:
            continue
        try:
            # xclip stays behind to serve the selection: its output must not hold a pipe of ours open.
            done = subprocess.run(
                [path, *options],
                input=text.encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=TIMEOUT_S,
                check=False,
                start_new_session=True,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return program
    return ""
