"""Sessions as a page (HTML) and as a picture (SVG) to share: complete in one file each, light and dark, no script.

Neither names the clip's file, a folder, a device or a person; what they say of a session is what the tables say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from unicodedata import east_asian_width

from speedtest_tui.core import format as figures
from speedtest_tui.core.accuracy.words import Piece, PieceKind
from speedtest_tui.core.race.row import (
    against,
    answer_line,
    errors_of,
    place_mark,
    quality,
    quality_mood,
    quality_title,
    relative,
)
from speedtest_tui.core.sessions.document import Document, Result
from speedtest_tui.core.sessions.export import median, weights

Marks = Mapping[str, Sequence[Piece]]
"""Candidate -> its text with its differences."""

STYLE = """
:root,svg{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--dim:#57606a;--line:#d0d7de;--shade:#f3f5f7;
--good:#1a7f37;--warn:#845400;--bad:#c21c2c;--now:#0a5fb4}
@media(prefers-color-scheme:dark){:root,svg{--paper:#14181d;--ink:#e6edf3;--dim:#9aa5b1;--line:#3a424c;--shade:#1c222a;
--good:#4ac26b;--warn:#e0b341;--bad:#ff7b72;--now:#6cb6ff}}
"""
"""Colours by what they mean; text has a contrast of at least 4.5 to 1 on `paper` and `shade` in both."""

PAGE = """
body{background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;line-height:1.3}h2{font-size:1.1rem;margin-top:2rem}p{margin:.5rem 0}
.dim,figcaption{color:var(--dim)}.good{color:var(--good)}.needs-you{color:var(--warn)}.bad{color:var(--bad)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:600;color:var(--dim)}.text{text-align:left}td.text.bad{white-space:normal}tr.best{background:var(--shade)}
figure{margin:1rem 0}svg{width:100%;height:auto;max-width:48rem}dt{font-weight:600;margin-top:.8rem}
dt .dim{font-weight:400;font-size:.85em}dd{margin:.2rem 0 0}
del{color:var(--bad)}ins{color:var(--good);text-decoration:none;border-bottom:1px solid}
.missing{color:var(--warn);text-decoration:line-through}
.extra{color:var(--bad);text-decoration:underline dotted}.differs{color:var(--warn);border-bottom:1px dotted}
"""

DRAWN = """
text{font:12px system-ui,sans-serif;fill:var(--ink);paint-order:stroke;stroke:var(--paper);stroke-width:3}
.axis text{fill:var(--dim)}
.grid{stroke:var(--line);fill:none}.best{fill:var(--good)}.par{fill:var(--now)}.beaten{fill:none;stroke:var(--dim)}
.end{text-anchor:end}.mid{text-anchor:middle}.front{fill:none;stroke:var(--now);stroke-dasharray:3 4}
.runs{stroke:var(--now);stroke-width:6;stroke-linecap:round;stroke-opacity:.55}
.span{stroke:var(--dim);stroke-width:2}.median{stroke:var(--ink);stroke-width:2.5}
"""

TAGS: dict[PieceKind, tuple[str, str]] = {
    "same": ("", ""),
    "mark": ('<span class="dim">', "</span>"),
    "wrong": ("<del>", "</del>"),
    "right": ("<ins>", "</ins>"),
    "missing": ('<span class="missing">', "</span>"),
    "extra": ('<span class="extra">', "</span>"),
    "differs": ('<span class="differs">', "</span>"),
}


def to_html(documents: Sequence[Document], marks: Sequence[Marks]) -> str:
    """One page of all these sessions; `marks` are of each of them."""
    title = plain(answer_line(documents[0].verdict) or documents[0].verdict.sentence)
    parts = (part for document, shown in zip(documents, marks, strict=True) for part in _session(document, shown))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>{STYLE}{PAGE}{DRAWN}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def plain(text: object) -> str:
    """Text of any origin inside a page or a picture."""
    return escape(" ".join(figures.neutral(str(text)).split()))


def _session(document: Document, marks: Marks) -> Iterator[str]:
    answer = answer_line(document.verdict)
    yield f"<main><h1>{plain(answer or document.verdict.sentence)}</h1>"
    yield f"<p>{plain(document.verdict.sentence)}</p>" if answer else ""
    yield f'<p class="dim">{plain(_facts(document))}</p>'
    for note in (*document.clip.warnings, *document.notes):
        yield f'<p class="needs-you">! {plain(note)}</p>'
    yield _table(document)
    points = _points(document)
    if len(points) > 1:
        yield _figure(_scatter(points), f"Speed over errors: further up is faster, further left is better. {_key()}")
    if any(result.runs_s for result in document.results):
        yield _figure(_strip(document), "Every run: a dot each, the median with its 95 % interval.")
    yield from _texts(document, marks)
    yield f'<p class="dim">Made with {plain(document.program)}. {_meaning(document)}</p></main>'


def _facts(document: Document) -> str:
    clip, host, plan = document.clip, document.host, document.plan
    return " · ".join(
        (
            f"a clip of {figures.seconds(clip.seconds)}",
            f"{figures.count(plan.runs, 'run')}, {plan.order_words}",
            f"{host.chip}, {host.cores_words}, {host.memory_bytes / 2**30:.0f} GB, {host.system}",
            f"{document.begun:%Y-%m-%d}",
        )
    )


def _meaning(document: Document) -> str:
    title = quality_title(document.results)
    if title == "agree":
        quality = "Agree: the share of words that most other texts have, too; no accuracy, as nobody gave the text."
    else:
        quality = f"{title}: the share that is wrong, counted as a person would." if title else ""
    return f"RTFx: seconds of speech per second of work. {quality}".strip()


def _table(document: Document) -> str:
    titles = ("#", "candidate", "median ±95 %", "RTFx", quality_title(document.results) or "WER", "relative", "memory",
              "load", "first")  # fmt: skip

    def row(cells: Iterable[str], tag: str, which: str = "") -> str:
        inner = "".join(f"<{tag}{' class=text' if at == 1 else ''}>{cell}</{tag}>" for at, cell in enumerate(cells))
        return f"<tr{which}>{inner}</tr>"

    rows = []
    for result in document.ordered:
        if result.runs_s and result.status == "ok":
            cells = [plain(cell) for cell in _cells(result)]
            cells[4] = f'<span class="{quality_mood(result)}">{cells[4]}</span>'
            rows.append(row(cells, "td", " class=best" if result.recommended else ""))
        else:
            rows.append(
                f"<tr><td></td><td class=text>{plain(result.label)}</td>"
                f'<td class="text bad" colspan=7>{plain(result.reason or result.status)}</td></tr>'
            )
    return f'<div class="scroll"><table><thead>{row(titles, "th")}</thead><tbody>{"".join(rows)}</tbody></table></div>'


def _cells(result: Result) -> tuple[str, ...]:
    return (
        place_mark(result), result.label, median(result), figures.rtfx(result.rtfx), quality(result), relative(result),
        figures.megabytes(result.memory_mb), figures.seconds(result.load_s), figures.seconds(result.first_s),
    )  # fmt: skip


def _weights(result: Result) -> str:
    """As everywhere, of a folder its name only."""
    shown = weights(result)
    source = result.model.source if result.model else ""
    return shown.replace(source, source.rstrip("/").rpartition("/")[2], 1) if source.startswith(("/", "~")) else shown


def _texts(document: Document, marks: Marks) -> Iterator[str]:
    with_text = [result for result in document.ordered if result.text]
    if not with_text:
        return
    yield f"<h2>Transcripts{f', differences from {against(document.results)}' if marks else ''}</h2>"
    if document.clip.reference:
        yield f'<p><span class="dim">Reference:</span> {plain(document.clip.reference)}</p>'
    yield "<dl>"
    for result in with_text:
        pieces = marks.get(result.candidate) or [(result.text or "", "same")]
        shown = "".join(TAGS[kind][0] + escape(figures.neutral(text)) + TAGS[kind][1] for text, kind in pieces)
        yield f'<dt>{plain(result.label)} <span class="dim">{plain(_weights(result))}</span></dt><dd>{shown}</dd>'
        yield from (f'<dd class="needs-you">! {plain(warning)}</dd>' for warning in result.warnings)
    yield "</dl>"


def _figure(picture: str, caption: str) -> str:
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def _key() -> str:
    return "★ recommended · ● unbeaten in both · ○ beaten"


# Pictures.

WIDE, HIGH = 720, 380
LEFT, RIGHT, TOP, BOTTOM, INSET = 60, 24, 20, 44, 14
CHARACTER = 6.8
"""Width of a character of 12 pixels on average, a little more than it is: nothing measures text here."""

LOG_FROM = 10
"""Where the fastest is that many times as fast as the slowest, the axis is logarithmic."""

DOTS = 300
"""Runs that are drawn of each candidate, evenly chosen where there are more."""


def width_of(text: str, size: float = 12) -> float:
    """About how many pixels a text takes."""
    return sum(2 if east_asian_width(each) in "WF" else 1 for each in text) * CHARACTER * size / 12


Point = tuple[Result, float, float]
"""A ranked result whose text could be judged, its RTFx, and its share of wrong words."""


def _points(document: Document) -> list[Point]:
    found = []
    for result in document.ordered:
        error = errors_of(result, document.results)
        if result.rank and result.rtfx and error is not None:
            found.append((result, result.rtfx, error))
    return found


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from low to high, some `about` of them: 1, 2 or 5 times a power of ten apart."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [at * step for at in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    found = [
        factor * 10.0**power
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for factor in (1, 2, 5)
    ]
    return [value for value in found if low <= value <= high]


def _scatter(points: Sequence[Point]) -> str:
    """RTFx over errors."""
    low, high = min(speed for _, speed, _ in points), max(speed for _, speed, _ in points)
    logarithmic = high > LOG_FROM * low
    bottom, top = (low / 1.3 if logarithmic else 0.0), high * (1.3 if logarithmic else 1.08)
    most = max(0.05, *(error for *_, error in points)) * 1.08

    def across(error: float) -> float:
        return LEFT + INSET + error / most * (WIDE - LEFT - INSET - RIGHT)

    def up(speed: float) -> float:
        share = math.log(speed / bottom) / math.log(top / bottom) if logarithmic else speed / top
        return HIGH - BOTTOM - share * (HIGH - BOTTOM - TOP)

    parts = []
    for value in _log_ticks(bottom, top) if logarithmic else ticks(0, top):
        y = up(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDE - RIGHT}"/>')
        parts.append(f'<g class="axis"><text class="end" x="{LEFT - 6}" y="{y + 4:.1f}">{value:g}×</text></g>')
    for value in ticks(0, most):
        x = across(value)
        parts.append(
            f'<g class="axis"><text class="mid" x="{x:.1f}" y="{HIGH - BOTTOM + 18}">{value * 100:.3g} %</text></g>'
        )
    title = quality_title(result for result, *_ in points)
    under = {"agree": "words not agreed upon"}.get(title, title)
    parts.append(f'<g class="axis"><text class="mid" x="{(LEFT + WIDE) / 2}" y="{HIGH - 8}">{under}</text>'
                 f'<text x="4" y="12">RTFx{" (log)" if logarithmic else ""}</text></g>')  # fmt: skip
    unbeaten = sorted((across(error), up(speed)) for result, speed, error in points if result.pareto)
    if len(unbeaten) > 1:
        steps = f"M{unbeaten[0][0]:.1f} {unbeaten[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in unbeaten[1:])
        parts.append(f'<path class="front" d="{steps}"/>')
    placed = [(across(error) - 7, up(speed) - 7, across(error) + 7, up(speed) + 7) for _, speed, error in points]
    for result, speed, error in points:
        x, y = across(error), up(speed)
        parts.append(_mark(result, x, y))
        parts.append(_label(figures.one_line(result.label), x, y, placed))
    return _svg(WIDE, HIGH, parts, f"Speed over errors of {len(points)} candidates")


def _mark(result: Result, x: float, y: float) -> str:
    if result.recommended:
        corners = (
            f"{x + radius * math.sin(at * math.pi / 5):.1f} {y - radius * math.cos(at * math.pi / 5):.1f}"
            for at in range(10)
            for radius in (8 if at % 2 == 0 else 3.4,)
        )
        return f'<path class="best" d="M{"L".join(corners)}Z"/>'
    return f'<circle class="{"par" if result.pareto else "beaten"}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'


def _label(name: str, x: float, y: float, placed: list[tuple[float, float, float, float]]) -> str:
    """A name where it covers nothing that is there: beside its mark, else ever further above and below."""
    size = width_of(name)
    for shift in (0, -14, 14, -28, 28, -42, 42, -56, 56):
        for left in (x + 10, x - 10 - size):
            box = (left, y + shift - 7, left + size, y + shift + 7)
            inside = left > LEFT and left + size < WIDE and box[1] > TOP - 8 and box[3] < HIGH - BOTTOM + 6
            if inside and not any(_meet(box, other) for other in placed):
                placed.append(box)
                return f'<text x="{left:.1f}" y="{y + shift + 4:.1f}">{plain(name)}</text>'
    return f"<title>{plain(name)}</title>"


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _strip(document: Document) -> str:
    """Every run of every candidate on one scale of seconds."""
    rows = [result for result in document.ordered if result.runs_s]
    names = [_cut(figures.one_line(result.label), 200) for result in rows]
    left = max(width_of(name) for name in names) + 14
    low, high = min(min(result.runs_s) for result in rows), max(max(result.runs_s) for result in rows)
    logarithmic = high > LOG_FROM * low
    bottom, top = (low / 1.15 if logarithmic else 0.0), high * 1.03

    def across(value: float) -> float:
        share = math.log(value / bottom) / math.log(top / bottom) if logarithmic else value / top
        return left + max(0.0, share) * (WIDE - left - RIGHT)

    height, line = len(rows) * 22 + 30, 22
    parts = []
    for value in _log_ticks(bottom, top) if logarithmic else ticks(0, top):
        x = across(value)
        parts.append(f'<path class="grid" d="M{x:.1f} 4V{height - 24}"/>')
        parts.append(f'<g class="axis"><text class="mid" x="{x:.1f}" y="{height - 8}">{value:g} s</text></g>')
    for at, (result, name) in enumerate(zip(rows, names, strict=True)):
        y = at * line + 16
        runs = result.runs_s[:: math.ceil(len(result.runs_s) / DOTS)]
        dots = "".join(f"M{across(run):.1f} {y}h0" for run in runs)
        parts.append(f'<text class="end" x="{left - 8:.1f}" y="{y + 4}">{plain(name)}</text>')
        if result.ci95_s:
            begin, end = map(across, result.ci95_s)
            parts.append(f'<path class="span" d="M{begin:.1f} {y}H{end:.1f}"/>')
        parts.append(f'<path class="runs" d="{dots}"/>')
        if result.median_s:
            parts.append(f'<path class="median" d="M{across(result.median_s):.1f} {y - 8}v16"/>')
    return _svg(WIDE, height, parts, "Every run of every candidate, in seconds")


def _svg(width: float, height: float, parts: Iterable[str], name: str, style: str = "") -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{plain(name)}">'
    )
    return head + style + "".join(parts) + "</svg>"


def _cut(text: str, width: float, size: float = 12) -> str:
    """A text that takes at most so many pixels."""
    if width_of(text, size) <= width:
        return text
    while text and width_of(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _wrapped(text: str, width: float, size: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width_of(longer, size) > width:
            lines.append(_cut(word, width, size))
        else:
            lines[-1] = _cut(longer, width, size)
    return lines


CARD_WIDE, CARD_HIGH, EDGE = 1200, 630, 56
CARD_ROWS = 7


def to_svg(documents: Sequence[Document]) -> str:
    """A card of 1200 x 630 with the answer, the best candidates, the machine and the program's version; one below
    another of several sessions."""
    name = " ".join(answer_line(one.verdict) or one.verdict.sentence for one in documents)
    cards = (f'<svg y="{at * CARD_HIGH}" height="{CARD_HIGH}">{_card(one)}</svg>' for at, one in enumerate(documents))
    style = f"<style>{STYLE}.end{{text-anchor:end}}</style>"
    return _svg(CARD_WIDE, CARD_HIGH * len(documents), cards, name, style) + "\n"


def _card(document: Document) -> str:
    answer = answer_line(document.verdict) or document.verdict.sentence
    inner = CARD_WIDE - 2 * EDGE
    parts = [f'<rect width="{CARD_WIDE}" height="{CARD_HIGH}" fill="var(--paper)"/>']

    def put(
        x: float, y: float, text: str, size: float, *, fill: str = "ink", which: str = "", weight: int = 400
    ) -> None:
        style = f"font:{weight} {size}px system-ui,sans-serif;fill:var(--{fill})"
        kind = f' class="{which}"' if which else ""
        parts.append(f'<text x="{x:.1f}" y="{y:.1f}"{kind} style="{style}">{plain(text)}</text>')

    y = EDGE + 30.0
    lines = _wrapped(" ".join(figures.neutral(answer).split()), inner, 34)
    lines = lines if len(lines) <= 3 else [*lines[:2], _cut(" ".join(lines[2:]), inner, 34)]
    for text in lines:
        put(EDGE, y, text, 34, fill="good" if document.verdict.recommended else "ink", weight=600)
        y += 44
    rows = [result for result in document.ordered if result.rank]
    title = quality_title(document.results)
    columns = (EDGE + 64, CARD_WIDE - EDGE - 330, CARD_WIDE - EDGE - 150, CARD_WIDE - EDGE)
    y += 16
    for x, text in zip(columns[1:], ("median", "RTFx", title), strict=True):
        put(x, y, text, 20, fill="dim", which="end")
    shown = rows[: CARD_ROWS - (len(lines) - 1)]
    fastest = max((result.rtfx or 0.0 for result in rows), default=0.0)
    for result in shown:
        y += 40
        share = (result.rtfx or 0.0) / fastest if fastest else 0.0
        length = share * (columns[1] - 120 - EDGE)
        parts.append(
            f'<rect x="{EDGE - 8}" y="{y - 26:.1f}" width="{length:.1f}" height="34" rx="4" fill="var(--shade)"/>'
        )
        put(EDGE, y, place_mark(result).strip(), 24, fill="good" if result.recommended else "dim")
        put(columns[0], y, _cut(figures.one_line(result.label), columns[1] - columns[0] - 120, 24), 24,
            weight=600 if result.recommended else 400)  # fmt: skip
        put(columns[1], y, figures.seconds(result.median_s), 24, fill="ink", which="end")
        put(columns[2], y, figures.rtfx(result.rtfx), 24, fill="ink", which="end")
        mood = {"good": "good", "needs-you": "warn", "bad": "bad"}.get(quality_mood(result), "ink")
        put(columns[3], y, quality(result), 24, fill=mood, which="end")
    if len(rows) > len(shown):
        y += 32
        put(columns[0], y, f"and {len(rows) - len(shown)} more", 18, fill="dim")
    if document.notes:
        put(EDGE, CARD_HIGH - EDGE - 32, _cut(figures.one_line(f"! {document.notes[0]}"), inner, 18), 18, fill="warn")
    put(EDGE, CARD_HIGH - EDGE - 4, _cut(figures.one_line(_facts(document)), inner, 18), 18, fill="dim")
    made = f"{document.program}. {_meaning(document)}"
    put(EDGE, CARD_HIGH - EDGE + 22, _cut(figures.one_line(made), inner, 18), 18, fill="dim")
    return "".join(parts)
