"""The dashboard in plain ASCII, for terminals and fonts that have no more: every cell on its way out is translated."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

PAIRS = {
    "█▉▊▋▌▐▀▄▇▆": "#",
    "▅▃": "=",
    "▍▎▏▂": "-",
    "▁": "_",
    "╭╮╰╯┌┐└┘├┤┬┴┼": "+",
    "─━═▔▁": "-",
    "│┃║▕": "|",
    "▶▸": ">",
    "✓✔": "+",
    "✗✘×": "x",
    "○◯·•": "o",
    "◐": "~",
    "±": "~",
    "–—−": "-",
    "…": ".",
    "∞": "8",
    "⏎": "<",
    "‹": "<",
    "›": ">",
    "“”": '"',
    "‘’": "'",
    "≥": ">",
    "≤": "<",
    "▲": "^",
    "▼": "v",
    "⚯": "=",
    "≡": "=",
    "↑": "^",
    "↓": "v",
    "←": "<",
    "→": ">",
}
TABLE = {ord(character): plain for characters, plain in PAIRS.items() for character in characters}
TABLE[ord("·")] = "."
TABLE[ord("▁")] = "_"


def ascii_only(text: str) -> str:
    """Text of the same width in cells without any character beyond ASCII; what has no likeness becomes "?"."""
    if text.isascii():
        return text
    translated = text.translate(TABLE)
    if translated.isascii():
        return translated
    return "".join(character if character.isascii() else "?" * cell_len(character) for character in translated)


class AsciiFilter(LineFilter):
    """Applied by Textual to every line before it is written."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.control else Segment(ascii_only(segment.text), segment.style) for segment in segments
        ]
