"""The dashboard in a browser: how it is known there, and what is different about it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.app import App


WEB_DRIVER = "textual.drivers.web_driver:WebDriver"
"""What textual-serve puts into TEXTUAL_DRIVER; with it Textual talks packets on pipes and needs no terminal."""

LOOK_S = 0.5
"""How often a served dashboard looks whether its server still lives."""

LEAVE_S = 3.0
"""How long it may take to leave in order when the server is gone; the worker's own limit is below it."""


def served() -> bool:
    """Whether this process was started to be shown in a browser. Known before there is an app."""
    return os.environ.get("TEXTUAL_DRIVER") == WEB_DRIVER


def in_browser(app: App[Any]) -> bool:
    """Whether an app is shown in a browser, which may be another machine's."""
    return app.is_web


def microphone_note(app: App[Any]) -> str | None:
    """Whose microphone it is that would record, in words, where a person might expect another; else None."""
    return f"the microphone of {socket.gethostname()}, not of this browser" if in_browser(app) else None


def end_with_server() -> None:
    """Leave when the server has gone without saying so, as after SIGKILL.

    Textual's web driver stops reading at the end of stdin, and the app would live on, unseen, for ever.
    """
    server = os.getppid()

    def watch() -> None:
        pause = threading.Event()
        while os.getppid() == server:
            pause.wait(LOOK_S)
        os.kill(os.getpid(), signal.SIGTERM)  # the app's own handler has the race cancelled and kept
        pause.wait(LEAVE_S)
        os._exit(1)

    threading.Thread(target=watch, name="server-watch", daemon=True).start()
