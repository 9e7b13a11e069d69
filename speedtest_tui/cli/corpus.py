"""`speedtest-tui run FOLDER` or `run MANIFEST`: each candidate over many clips, with live progress and one table."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedtest_tui.cli import console
from speedtest_tui.cli.console import Column, LiveRow
from speedtest_tui.cli.run import PIECES
from speedtest_tui.core import codec
from speedtest_tui.core import format as figures
from speedtest_tui.core.accuracy.corpus import Corpus, read
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.jobs.corpus import CorpusRun, Progress
from speedtest_tui.core.race.row import answer_line, place_mark, quality_mood, reason, relative
from speedtest_tui.core.sessions.corpus import SCHEMA, Heard, Score, Tally

if TYPE_CHECKING:
    from rich.text import Text

    from speedtest_tui.core.race.plan import Plan

FORMS = ("json", "csv", "markdown")

COLUMNS = (
    Column(" #"), Column("candidate"), Column("RTFx", right=True), Column("WER (95 %)", right=True),
    Column("relative", rank=1), Column("clips", right=True), Column("failed", right=True, rank=2),
    Column("memory", right=True, rank=3), Column("load", right=True, rank=4),
)  # fmt: skip


def run(options: argparse.Namespace, plan: Plan, path: Path) -> int:
    """Run, print and write. 0 where every candidate transcribed every clip, 1 where not, 130 when cancelled."""
    outputs = console.requested(options)
    for form in outputs:
        if form not in FORMS:
            raise UserError(f"--{form} is for single clips", f"choose from {', '.join('--' + one for one in FORMS)}")
    if options.reference is not None:
        raise UserError("--reference is for one clip", "write the text of each clip beside it, or into the manifest")
    corpus = read(path)
    job = CorpusRun(plan, corpus, save=not options.no_save)
    above = f"{figures.one_line(corpus.name)} · {figures.count(len(corpus.utterances), 'clip')} · size {plan.size}"
    job.start()
    try:
        console.watch(lambda: [_live(row, job.view.total) for row in job.view.rows], console.joined(job), (above,),
                      lambda: f"about {figures.about(job.view.left_s)} left" if job.view.left_s else "")  # fmt: skip
    except KeyboardInterrupt:
        job.cancel()
    job.join()
    found = job.tally
    if found is None:
        raise UserError("the run ended early", "please report this")
    if job.view.resumed:
        console.say(f"resumed: {figures.count(job.view.resumed, 'result')} measured before")
    if job.unkept:
        console.complain(f"{job.unkept}: use --json to keep the result")
    if "-" not in outputs.values():
        print_tally(above, corpus, found)
    whole = console.write_forms(outputs, lambda form: _text(form, corpus, plan, found, job.heard))
    if job.cancelled:
        console.complain("cancelled: the same command resumes it" if job.save else "cancelled")
        return console.EXIT_CANCELLED
    heard = all(score.clips == len(corpus.utterances) for score in found.scores)
    return console.EXIT_OK if whole and heard and not corpus.problems and not job.unkept else console.EXIT_FAILED


def _live(row: Progress, total: int) -> LiveRow:
    if row.row.status:
        return LiveRow(row.row.status, row.row.label, reason(row.row))
    failed = f" · {row.failed} failed" if row.failed else ""
    speed = f" · {figures.rtfx(row.rtfx)}" if row.rtfx else ""
    share = row.done / max(1, total)
    words = row.doing or f"{row.done} of {total}{speed}{failed}"
    # Where no line can be replaced, one for every quarter is enough.
    step = row.doing or f"{int(share * 4) * 25} % of {total} clips"
    return LiveRow("done" if row.done == total else "active", row.row.label, words, share, step=step)


def print_tally(above: str, corpus: Corpus, found: Tally) -> None:
    """Print the table, what did not run, the worst clips, the remarks and the answer on standard output."""
    from rich.text import Text

    out = console.stdout()
    out.print(Text(above))
    rates = {score.row.rate for score in found.scores}
    columns = [
        one._replace(title=one.title.replace("WER", max(rates))) if one.title.startswith("WER") else one
        for one in COLUMNS
    ]
    console.print_table(columns, [_cells(score, len(corpus.utterances)) for score in found.scores if score.row.rank])
    for score in found.scores:
        if not score.row.rank:
            why = reason(score.row) or "no clip was transcribed"
            out.print(console.glyph(score.row.status), Text(f" {score.row.label}  {why}"), sep="", soft_wrap=True)
    labels = {score.row.candidate: score.row.label for score in found.scores}
    if found.worst:
        from speedtest_tui.core.accuracy.agreement import differences

        out.print(Text("Most wrong · differences from the reference", style="bold"))
    for one in found.worst:
        line = Text.assemble(
            (f"{figures.percent(one.rate)} ", "bold"), (f"{labels[one.candidate]} ", "bold"), (f"{one.clip}  ", "dim"),
            *((text, PIECES[kind]) for text, kind in differences(one.reference, one.text, found.language or None)),
        )  # fmt: skip
        out.print(line)
    for remark in found.remarks:
        out.print(console.note(remark))
    answer = answer_line(found.verdict)
    out.print(Text(found.verdict.sentence, style="" if answer else "bold"))
    if answer:
        out.print(Text(answer, style="bold green" if found.verdict.recommended else "bold"))


def wer_words(score: Score) -> str:
    """ "3.1 % (2.4–3.9)"."""
    if score.wer is None:
        return figures.percent(score.row.wer)
    low, high = (figures.percent(share).removesuffix(" %") for share in (score.wer.low, score.wer.high))
    return f"{figures.percent(score.wer.value)} ({low}–{high})"


def _cells(score: Score, total: int) -> tuple[str | Text, ...]:
    row = score.row
    won: figures.Mood = "good" if row.rank == 1 or row.recommended else "quiet"
    return (
        console.toned(place_mark(row) or f" {figures.DASH}", won),
        console.toned(row.label, won),
        figures.rtfx(score.rtfx),
        console.toned(wer_words(score), quality_mood(row)),
        relative(row),
        f"{score.clips} of {total}",
        str(score.failed) if score.failed else figures.DASH,
        figures.megabytes(row.peak_memory / 1e6),
        figures.seconds(row.load_s),
    )


# Forms.


def _text(form: str, corpus: Corpus, plan: Plan, found: Tally, heard: list[Heard]) -> str:
    if form == "json":
        return codec.document(_document(corpus, plan, found, heard))
    return _csv(corpus, found, heard) if form == "csv" else _markdown(corpus, found)


def _rates(corpus: Corpus, found: Tally, heard: list[Heard]) -> Iterator[tuple[Heard, str | None, float | None]]:
    """Each result with its reference and rate of errors."""
    from speedtest_tui.core.accuracy.wer import compare

    texts = {one.key: one for one in corpus.utterances}
    for one in heard:
        known = texts.get(one.clip)
        rate = None
        if known is not None and known.text and one.took_s:
            try:
                rate = compare(known.text, one.text, known.language or found.language or None).rate
            except ValueError:
                rate = None
        yield one, known.text if known else None, rate


def _document(corpus: Corpus, plan: Plan, found: Tally, heard: list[Heard]) -> dict[str, Any]:
    results = [
        {
            "candidate": score.row.candidate, "backend": score.row.backend, "rank": score.row.rank,
            "shared": score.row.shared, "tied": score.row.tied, "recommended": score.row.recommended,
            "status": score.row.status, "rtfx": score.rtfx, "audio_s": score.audio_s, "took_s": score.took_s,
            "wer": score.row.wer, "wer_ci95": [score.wer.low, score.wer.high] if score.wer else None,
            "rate": score.row.rate, "errors": score.errors, "words": score.words, "clips": score.clips,
            "failed": score.failed, "load_s": score.row.load_s, "peak_rss_mb": round(score.row.peak_rss / 1e6, 1),
        }
        for score in found.scores
    ]  # fmt: skip
    clips = [
        {**codec.plain(one), "reference": reference, "wer": rate}
        for one, reference, rate in _rates(corpus, found, heard)
    ]
    return {
        "corpus_schema": SCHEMA, "corpus": corpus.name, "clips": len(corpus.utterances), "language": found.language,
        "order": plan.order, "results": results, "verdict": found.verdict, "notes": found.remarks, "heard": clips,
    }  # fmt: skip


def _csv(corpus: Corpus, found: Tally, heard: list[Heard]) -> str:
    from speedtest_tui.core.sessions.export import plain_cell

    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("candidate", "clip", "seconds", "took_s", "wer", "text", "reference", "error"))
    for one, reference, rate in _rates(corpus, found, heard):
        cells = (one.candidate, one.clip, one.seconds, one.took_s, rate, one.text, reference, one.error)
        writer.writerow(["" if cell is None else plain_cell(cell) for cell in cells])
    return out.getvalue()


def _markdown(corpus: Corpus, found: Tally) -> str:
    from speedtest_tui.core.sessions.export import cell

    answer = answer_line(found.verdict)
    lines = [
        f"**{cell(answer or found.verdict.sentence)}**", "",
        f"{cell(corpus.name)}, {figures.count(len(corpus.utterances), 'clip')}", "",
        "| # | candidate | RTFx | WER (95 %) | relative | clips | memory |", "|--:|:--|--:|--:|--:|--:|--:|",
    ]  # fmt: skip
    for score in found.scores:
        row = score.row
        if not row.rank:
            lines.append(f"| | {cell(row.label)} | {cell(reason(row))} | | | | |")
            continue
        cells = (place_mark(row), row.label, figures.rtfx(score.rtfx), wer_words(score), relative(row),
                 str(score.clips), figures.megabytes(row.peak_memory / 1e6))  # fmt: skip
        lines.append("| " + " | ".join(map(cell, cells)) + " |")
    lines += ["", "RTFx: all sound by all work. WER: all errors by all words, 95 % interval by resampling clips."]
    lines += [f"- {cell(remark)}" for remark in found.remarks]
    return "\n".join(lines) + "\n"
