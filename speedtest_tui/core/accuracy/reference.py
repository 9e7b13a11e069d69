"""What is really said in a clip, as people have it: typed, in a text file, or as subtitles."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from speedtest_tui.core import darwin, disk
from speedtest_tui.core.errors import UserError

LARGEST_BYTES = 4 << 20
"""Four hours of speech are some 250 kB of text; more than this is no reference."""

JOINERS = "\u200c\u200d"
"""Zero-width signs that belong to words of Persian and of Indic scripts; all other invisible ones belong to none."""

_TIMES = re.compile(r"^\s*(?:\d+:)?\d+:\d+[.,]\d+\s*-->\s*(?:\d+:)?\d+:\d+[.,]\d+.*$")
_TAG = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_ASS = re.compile(r"^Dialogue:\s*(?:[^,]*,){9}(.*)$", re.MULTILINE)


def from_option(option: str) -> str:
    """A text, or that of the file that `option` names behind an @. Raises UserError."""
    text = from_file(Path(option[1:]).expanduser()) if option.startswith("@") else from_text(option)
    if not text:
        raise UserError("the reference text is empty", "write what is said in the clip, or leave --reference out")
    return text


def from_file(path: Path) -> str:
    """Read a text file or subtitles (SRT, WebVTT, ASS). Raises UserError that says why it is no reference."""
    darwin.check_here(path, f"reference file {path}")
    try:
        if not path.is_file():
            raise UserError(f"reference file {path} {'is no file' if path.exists() else 'does not exist'}", "check it")
        with disk.opened_plain(path) as file:
            data = file.read(LARGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it cannot be a path"
        raise UserError(f"reference file {path} cannot be read ({reason})", "check its path and permissions") from None
    if len(data) > LARGEST_BYTES:
        raise UserError(f"reference file {path} is too large for a text", "name a file with what is said in the clip")
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"reference file {path} is no UTF-8 text", "save it as plain text in UTF-8") from None
    if any(unicodedata.category(sign) == "Cc" and not sign.isspace() for sign in text):
        raise UserError(f"reference file {path} is no text file", "name a file with what is said in the clip")
    return from_text(text)


def from_text(text: str) -> str:
    """Words as they were typed or pasted, those of subtitles without numbers, times and marks; one space between."""
    text = visible(text)
    if dialogue := _ASS.findall(text):
        return " ".join(_TAG.sub(" ", " ".join(dialogue)).replace("\\N", " ").replace("\\n", " ").split())
    if text.startswith("WEBVTT") or any(_TIMES.match(line) for line in text.splitlines()[:20]):
        text = "\n".join(_spoken(text))
    return " ".join(text.split())


def visible(text: str) -> str:
    """Text without the invisible characters that editors and web pages leave in it."""
    kept = []
    for place, sign in enumerate(text):
        inside = 0 < place < len(text) - 1 and text[place - 1].isalnum() and text[place + 1].isalnum()
        if unicodedata.category(sign) != "Cf" or (sign in JOINERS and inside):
            kept.append(sign)
    return "".join(kept)


def _spoken(text: str) -> list[str]:
    """The lines of subtitles that are shown: cue after cue, each line once where it scrolls up."""
    found: list[str] = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.strip("\n").split("\n")
        begins = next((place for place, line in enumerate(lines) if _TIMES.match(line)), None)
        if begins is None:
            continue  # a header, a note, a style
        for line in lines[begins + 1 :]:
            shown = " ".join(_TAG.sub(" ", line).split())
            if shown and shown not in found[-2:]:
                found.append(shown)
    return found
