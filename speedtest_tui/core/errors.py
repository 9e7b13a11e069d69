"""Errors that a user can correct: one line that names the thing and says what to do next."""

from __future__ import annotations

from collections.abc import Iterable

from backends.base import Advice
from speedtest_tui.core.format import one_line


class UserError(Exception):
    """Unusable input. Printed as `speedtest-tui: what: what to do`, exit code 2.

    what: the thing and what is wrong with it
    todo: what to do next

    Both may hold what others have written: they become one line each that can be shown.
    """

    def __init__(self, what: str, todo: str) -> None:
        what, todo = (one_line(" ".join(text.splitlines())) for text in (what, todo))
        super().__init__(f"{what}: {todo}")
        self.advice = Advice(what, todo)

    @property
    def what(self) -> str:
        return self.advice.what

    @property
    def todo(self) -> str:
        return self.advice.todo


def alike(word: str, known: Iterable[str]) -> str:
    """The known names that a misspelt one may mean: "tiny", "mlx-whisper or whisper-mps", or an empty string."""
    from difflib import get_close_matches

    known = list(known)
    near = get_close_matches(word, known, n=2, cutoff=0.65)
    return " or ".join(sorted(near, key=known.index))


def unknown(what: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that nothing has: what was meant, perhaps, or all there are."""
    known = list(known)
    near = alike(name, known)
    return UserError(
        f"no {what} is called {name!r}", f"did you mean {near}?" if near else f"choose from {', '.join(known)}"
    )


def kept_traceback() -> str:
    """Keep the traceback of the exception in hand in a file; returns what to do with it."""
    import traceback

    from speedtest_tui.core import disk
    from speedtest_tui.core.locations import crash_log

    try:
        log = crash_log()
        disk.keep_private(log.parent)
        disk.write_text(log, traceback.format_exc())
    except Exception:
        return "please report it"
    return f"please report it with {log}"
