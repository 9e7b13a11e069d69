"""The smallest Textual application: the floor for the first frame of any other."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Static

GREETING = "hello-from-textual"


class HelloApp(App[None]):
    """One line of text."""

    BINDINGS = [("q", "quit", "quit")]

    def compose(self) -> ComposeResult:
        yield Static(GREETING)


if __name__ == "__main__":
    HelloApp().run()
