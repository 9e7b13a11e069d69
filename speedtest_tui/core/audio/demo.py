"""The clip that comes with the package, for `--demo` and for tests of the whole chain."""

from __future__ import annotations

import dataclasses
from importlib.resources import as_file, files

from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.audio.decode import load_clip
from speedtest_tui.core.errors import UserError

NAME = "demo"


def demo_clip() -> Clip:
    """Load the bundled clip with what is said in it as its reference; `path` is None.

    Raises UserError where the installed package lacks it.
    """
    folder = files("backends") / "embedded"
    try:
        reference = " ".join((folder / "demo.txt").read_text(encoding="utf-8").split())
        # A file of its own only for as long as it is read: the package may lie in a zip.
        with as_file(folder / "demo.flac") as path:
            clip = load_clip(path, reference=reference)
    except (OSError, UserError) as error:
        raise UserError(f"the bundled demo clip cannot be read ({error})", "reinstall speedtest-tui") from None
    return dataclasses.replace(clip, name=NAME, path=None)
