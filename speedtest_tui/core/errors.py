"""Errors that are the user's to mend: one line that names the thing and says what to do next."""

from __future__ import annotations


class UserError(Exception):
    """Unusable input. Printed as `speedtest-tui: what: what to do`, exit code 2.

    what: the thing and what is wrong with it
    todo: what to do next
    """

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(f"{what}: {todo}")
        self.what = what
        self.todo = todo
