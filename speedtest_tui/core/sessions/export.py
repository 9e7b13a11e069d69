"""Sessions in the formats people paste and programs read: CSV and Markdown. JSON is the document itself."""

from __future__ import annotations

import csv
import io
import re

from speedtest_tui.core import format as figures
from speedtest_tui.core.codec import plain
from speedtest_tui.core.race.row import answer_line, place_mark, quality, quality_title, relative, source_name
from speedtest_tui.core.sessions.document import Document, Result

CSV_COLUMNS = (
    "candidate", "backend", "size", "status", "rank", "median_s", "ci95_low_s", "ci95_high_s", "rtfx", "import_s",
    "load_s", "first_s", "runs_s", "peak_rss_mb", "peak_footprint_mb", "peak_device_mb", "wer", "cer",
    "wer_published", "agreement", "device", "source", "revision", "dtype", "bits", "parameters", "family", "text",
    "error", "warnings", "recommended", "pareto", "throttled", "energy_j",
)  # fmt: skip


FORMULA = tuple("=+-@＝＋－＠﹦﹢﹣﹫")
"""What begins a formula, behind any white space; some spreadsheets take the wide forms for the same."""

MARKUP = re.compile(r"[|<>`*_\[\]\\~$&]|:(?=//)|(?<=www)\.|^[#+=-]|(?:(?<=^\d)|(?<=^\d\d))[.)](?= )")


def to_csv(document: Document) -> str:
    """One line a candidate, raw numbers, RFC 4180; lists are joined with spaces, warnings with semicolons.

    Text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, restval="", extrasaction="ignore")
    writer.writeheader()
    for result in document.ordered:
        low, high = result.ci95_s or ("", "")
        facts = {**(plain(result.model) if result.model else {}), **plain(result)}
        writer.writerow(
            {key: "" if value is None else plain_cell(value) for key, value in facts.items()}
            | {
                "ci95_low_s": low,
                "ci95_high_s": high,
                "runs_s": " ".join(f"{run:.6f}" for run in result.runs_s),
                "error": plain_cell(result.error.sentence if result.error else ""),
                "warnings": plain_cell("; ".join(result.warnings)),
            }
        )
    return out.getvalue()


def to_markdown(document: Document) -> str:
    """A table to paste into an issue, with the machine, the clip and the verdict around it."""
    clip, host, plan = document.clip, document.host, document.plan
    answer = answer_line(document.verdict)
    rate = quality_title(document.results)
    lines = [
        f"**{cell(answer or document.verdict.sentence)}**",
        "",
        *([cell(document.verdict.sentence), ""] if answer else []),
        f"{cell(clip.name)}, {figures.seconds(clip.seconds)} · {cell(plan.title)} · "
        f"{figures.count(plan.runs, 'run')}, {cell(plan.order_words)} · "
        f"{cell(host.chip)}, {cell(host.cores_words)}, {host.memory_bytes / 2**30:.0f} GB, "
        f"{cell(host.system)} · {cell(document.program)}",
        "",
        f"| # | candidate | median (95 %) | RTFx | relative | load | first | memory | {rate or 'WER'} | weights |",
        "|--:|:--|--:|--:|--:|--:|--:|--:|--:|:--|",
    ]
    lines += ["| " + " | ".join(map(cell, cells)) + " |" for cells in map(_cells, document.ordered)]
    published = [
        f"{cell(result.label)} {figures.percent(result.wer_published)}"
        for result in document.ordered
        if result.wer_published is not None
    ]
    if published:
        counts = f"{rate} counts as a person would. By Whisper's normaliser: {', '.join(published)}."
        lines += ["", counts]
    elif rate == "agree":
        lines += ["", "agree: the share of words that most other texts have too; no accuracy, as nobody gave the text."]
    texts = [f"- {cell(result.label)}: {cell(result.text)}" for result in document.ordered if result.text]
    remarks = [f"- {cell(text)}" for text in (*clip.warnings, *document.notes)]
    remarks += [f"- {cell(result.label)}: {cell(text)}" for result in document.ordered for text in result.warnings]
    for title, block in (("Transcripts", texts), ("Remarks", remarks)):
        lines += ["", f"{title}:", "", *block] if block else []
    return "\n".join(lines) + "\n"


def _cells(result: Result) -> tuple[str, ...]:
    if result.status != "ok":
        return ("", result.label, result.reason, *[""] * 7)
    return (
        place_mark(result),
        result.label,
        median(result),
        figures.rtfx(result.rtfx),
        relative(result),
        figures.seconds(result.load_s),
        figures.seconds(result.first_s),
        figures.megabytes(result.memory_mb),
        quality(result),
        weights(result),
    )


def median(result: Result) -> str:
    """ "0.145 s ±0.003"."""
    interval = f" {figures.half_width(*result.ci95_s)}" if result.ci95_s else ""
    return figures.seconds(result.median_s) + interval


def weights(result: Result) -> str:
    """What ran: source, of a URL its file alone; dtype, bits per weight where quantised."""
    if (model := result.model) is None:
        return ""
    return f"{source_name(model.source)} {figures.precision(model.dtype, model.bits, result.options)}".strip()


def plain_cell(value: object) -> object:
    """A cell of CSV that no spreadsheet computes (OWASP, "CSV injection"); numbers stay numbers."""
    if not isinstance(value, str):
        return value
    bare = figures.neutral(value, "")
    begins = bare.startswith("\t") or value.startswith("\r") or bare.lstrip().startswith(FORMULA)
    return f"'{figures.neutral(value)}" if begins else figures.neutral(value)


def cell(text: object) -> str:
    """Text that cannot break a Markdown table or bring in markup of its own: link, HTML, heading."""
    return MARKUP.sub(r"\\\g<0>", " ".join(figures.neutral(str(text)).split()))
