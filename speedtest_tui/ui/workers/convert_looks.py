"""What the convert screen must find out, in threads: what a checkpoint is, and whether a folder may be filled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from speedtest_tui.core.convert.convert import Target
    from speedtest_tui.core.convert.preview import Preview


@dataclass
class CheckpointSeen(Message):
    """A checkpoint has been looked into; without a preview `problem` says what is wrong, and what to do."""

    path: Path
    preview: Preview | None = None
    problem: str = ""


@dataclass
class TargetSeen(Message):
    """A folder has been looked at. `text` is what was typed; None where the program thought of the folder itself."""

    target: Target
    text: str | None = None


class Looks:
    """Starts the threads. `post` gets their messages; the modules that they need are imported there."""

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post
        self._cancelled = threading.Event()

    def checkpoint(self, path: Path) -> None:
        """Look into a checkpoint; a look that is still under way is given up."""
        self.close()
        self._cancelled = cancelled = threading.Event()

        def look() -> None:
            from speedtest_tui.core.convert import preview
            from speedtest_tui.core.errors import UserError

            try:
                found = preview.look(path, cancelled)
            except UserError as error:
                self._post(CheckpointSeen(path, problem=str(error)))
            except OSError as error:
                self._post(CheckpointSeen(path, problem=f"{path.name}: {error.strerror or error}: try again"))
            else:
                if found is not None:
                    self._post(CheckpointSeen(path, found))

        self._in_thread(look)

    def suggestion(self, source: Path, form: str) -> None:
        """Think of a free folder for a checkpoint in a number format."""

        def suggest() -> None:
            from speedtest_tui.core.convert import convert as target

            self._post(TargetSeen(target.look_at(target.suggested(source, form))))

        self._in_thread(suggest)

    def folder(self, text: str) -> None:
        """Look at the folder that a person typed."""

        def look() -> None:
            from speedtest_tui.core.convert import convert as target

            self._post(TargetSeen(target.look_at(target.named(text)), text))

        self._in_thread(look)

    def close(self) -> None:
        """Give up looking into a checkpoint."""
        self._cancelled.set()

    def _in_thread(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name="checkpoint", daemon=True).start()
