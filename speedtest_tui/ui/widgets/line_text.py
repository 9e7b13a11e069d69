"""Text that fits: cut, wrapped and set in columns by terminal cells, so that wide characters shift nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from rich.cells import cell_len, set_cell_size

CUT = "…"


def fit(text: str, width: int) -> str:
    """`text`, with an ellipsis at its end where it is longer than `width` cells."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + CUT if width > 0 else ""


def fit_path(text: str, width: int) -> str:
    """As `fit`, but cut at the front: the end of a path says more."""
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) > width - 1:
        text = text[1:]
    return CUT + text if width > 0 else ""


def fit_middle(text: str, width: int) -> str:
    """As `fit`, but cut in the middle: both ends say something."""
    if cell_len(text) <= width:
        return text
    head = set_cell_size(text, max(0, width // 2 - 1)).rstrip()
    return (head + fit_path(text, width - cell_len(head))) if width > 0 else ""


def fit_apart(texts: Collection[str], width: int) -> dict[str, str]:
    """Each text as `fit`, a path as `fit_path`; what would look alike keeps its beginning and where it differs."""
    looks = {text: (fit_path if "/" in text else fit)(text, width) for text in texts}
    head = width // 3
    room = max(1, width - head - 1)
    for shift in range(max(map(len, texts), default=0)):
        seen = Counter(looks.values())
        alike = [text for text, look in looks.items() if seen[look] > 1 and look != text]
        if not alike:
            break
        for text in alike:
            end = max(head + room, len(text) - shift)
            looks[text] = text[:head] + CUT + text[end - room : end]
    return looks


def spread(left: str, right: str, width: int) -> str:
    """`left` and `right` at the two ends of a line; `left` is cut where both do not fit."""
    room = width - cell_len(right) - 2 if right else width
    return set_cell_size(fit(left, room), room) + ("  " + right if right else "")


def column(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells."""
    text = fit(text, width)
    return " " * (width - cell_len(text)) + text if right else set_cell_size(text, width)


def wrap(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells, broken at spaces, within words only where one is longer than a line."""
    return list(_lines(text, max(1, width)))


def _lines(text: str, width: int) -> Iterator[str]:
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            if line and cell_len(line) + 1 + cell_len(word) > width:
                yield line
                line = ""
            line = f"{line} {word}" if line else word
            # Of a word that is long as a book only the beginning is measured for each of its lines.
            while cell_len(near := line[: 8 * width]) > width or cell_len(near := line) > width:
                head = set_cell_size(near, width).rstrip(" ") or line[0]  # a character wider than the line
                if len(line) == 1:
                    break
                yield head
                line = line[len(head) :]
        yield line
