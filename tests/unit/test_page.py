"""The page and the picture of a session: whole files by themselves, with nothing in them that others put there."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from documents import build, clip, failed_row, good_row

from speedtest_tui.core.jobs.race import marks_of
from speedtest_tui.core.sessions import page
from speedtest_tui.core.sessions.document import Document

HOSTILE = "<script>alert(1)</script>\"'>]]>\x1b[31m\u202e\x00\ud800&copy;"


def html(document: Document) -> str:
    return page.to_html([document], [marks_of(document)])


def pictures(document: Document) -> list[ElementTree.Element]:
    """Every drawing of the page, and the card: each must be well-formed XML of its own."""
    found = re.findall(r"<svg.*?</svg>", html(document), re.DOTALL)
    return [ElementTree.fromstring(one) for one in (*found, page.to_svg([document]))]


def texts(drawing: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in drawing.iter() if element.tag.endswith("text")]


class Reader(HTMLParser):
    """What a browser would make of a page: its elements, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_answer_comes_first_and_every_row_is_there() -> None:
    document = build()
    shown = Reader(html(document)).text
    answer = page.answer_line(document.verdict)
    assert answer in shown
    assert shown.index(answer) < shown.index("median")
    for result in document.results:
        assert result.label in shown
    assert "it broke: mend it" in shown
    assert "ran on a test" in shown


def test_differences_are_marked_with_and_without_colour() -> None:
    shown = html(build(good_row("a", (0.1, 0.1), "hello where"), good_row("b", (0.2, 0.2))))
    assert "<del>where</del>" in shown
    assert "<ins>there</ins>" in shown
    assert "‹" in shown


def test_nothing_hostile_becomes_markup() -> None:
    rows = good_row(HOSTILE, (0.1, 0.2), HOSTILE), good_row("b", (0.2, 0.3)), failed_row(f"c{HOSTILE}", HOSTILE)
    document = build(*rows, of=replace(clip(HOSTILE, warnings=(HOSTILE,)), reference=f"hello {HOSTILE}"))
    found = Reader(html(document))
    assert not found.tags & {"script", "img", "iframe", "object", "link", "a"}
    assert not {name for name in found.attributes if name.startswith("on") or name in ("src", "href")}
    for drawn in (html(document), page.to_svg([document])):
        drawn.encode()
        assert not set("\x1b\u202e\x00\ud800") & set(drawn)
    assert len(pictures(document)) == 3


def test_neither_the_clip_nor_a_folder_is_named() -> None:
    row = good_row("a", (0.1, 0.2))
    assert row.spec
    document = build(
        replace(row, spec=replace(row.spec, source="/home/anna/models/mine")), of=clip("anna and her doctor.wav")
    )
    for drawn in (html(document), page.to_svg([document])):
        assert "anna" not in drawn
    assert "mine" in html(document)


@pytest.mark.parametrize("count", [1, 2, 12])
def test_every_candidate_stands_once_in_both_plots(count: int) -> None:
    rows = [
        good_row(f"candidate-{at}", tuple(0.1 * (at + 1) + run / 1000 for run in range(100))) for at in range(count)
    ]
    document = build(*rows)
    *plots, card = pictures(document)
    assert len(plots) == (2 if count > 1 else 1)
    for plot in plots:
        named = [*texts(plot), *(element.text or "" for element in plot.iter() if element.tag.endswith("title"))]
        assert sorted(text for text in named if text.startswith("candidate")) == sorted(row.label for row in rows)
    assert len([text for text in texts(card) if text.startswith("candidate")]) == min(count, page.CARD_ROWS)
    assert len(html(document)) < 1_000_000


def test_a_page_without_a_result_says_so() -> None:
    document = build(failed_row("a"), failed_row("b"))
    assert "no backend finished" in Reader(html(document)).text
    assert len(pictures(document)) == 1


def test_several_races_stand_below_one_another() -> None:
    documents = [build(), build(of=clip("other.wav"))]
    assert html(documents[0]).count("<main>") == 1
    assert page.to_html(documents, [{}, {}]).count("<main>") == 2
    assert ElementTree.fromstring(page.to_svg(documents)).get("viewBox") == "0 0 1200 1260"


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (0, 0.05, [0, 0.01, 0.02, 0.03, 0.04, 0.05]), (0, 83, [0, 20, 40, 60, 80])],
)
def test_axes_have_round_numbers(low: float, high: float, ticks: list[float]) -> None:
    assert page.ticks(low, high) == pytest.approx(ticks)


def test_colours_can_be_read_on_both_papers() -> None:
    """WCAG 2.2, 1.4.3: a contrast of at least 4.5 to 1 for text."""

    def brightness(colour: str) -> float:
        wide = colour if len(colour) == 7 else "#" + "".join(2 * digit for digit in colour[1:])
        parts = [int(wide[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for theme in page.STYLE.split("@media"):
        colours = dict(re.findall(r"--(\w+):(#[0-9a-f]+)", theme))
        for paper in ("paper", "shade"):
            for ink in ("ink", "dim", "good", "warn", "bad", "now"):
                pair = sorted(brightness(colours[name]) for name in (paper, ink))
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (paper, ink)
