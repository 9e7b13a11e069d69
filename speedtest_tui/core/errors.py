"""Errors that are the user's to mend: one line that names the thing and says what to do next."""

from __future__ import annotations

from backends.base import Advice


class UserError(Exception):
    """Unusable input. Printed as `speedtest-tui: what: what to do`, exit code 2.

    what: the thing and what is wrong with it
    todo: what to do next
    """

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(f"{what}: {todo}")
        self.advice = Advice(what, todo)

    @property
    def what(self) -> str:
        return self.advice.what

    @property
    def todo(self) -> str:
        return self.advice.todo
