"""`speedtest-tui run`: races without a screen, with live progress on a terminal and results in any form."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from speedtest_tui.cli import arguments, console
from speedtest_tui.cli.arguments import Parser
from speedtest_tui.cli.console import Column, LiveRow
from speedtest_tui.cli.options import named_models, plan_from
from speedtest_tui.core import format as figures
from speedtest_tui.core.accuracy.corpus import is_corpus
from speedtest_tui.core.accuracy.reference import from_option
from speedtest_tui.core.accuracy.words import PieceKind
from speedtest_tui.core.audio.clip import Clip
from speedtest_tui.core.audio.decode import demo_clip, load_named
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.jobs.race import Keeper, Kept, marks_of
from speedtest_tui.core.race.plan import Plan, progress
from speedtest_tui.core.race.row import (
    ACTIVE_PHASES,
    Row,
    against,
    answer_line,
    headline,
    place_mark,
    quality,
    quality_mood,
    quality_title,
    relative,
)
from speedtest_tui.core.race.supervisor import Race
from speedtest_tui.core.sessions.document import ClipFacts, Document, Result
from speedtest_tui.core.sessions.export import median, weights

if TYPE_CHECKING:
    from rich.text import Text


def add_arguments(parser: Parser) -> None:
    arguments.describe(
        parser,
        "Race backends on audio files, one race for each, and print the results.",
        "run --demo",
        "run talk.wav --size turbo --backends mlx-whisper,parakeet-mlx",
        "run talk.wav --size turbo --model 'canary-mlx:turbo?beam=4'",
        "run talk.wav --reference @talk.txt --json result.json",
        "run recordings/ --size small,turbo",
    )
    arguments.add_clip(parser, "audio")
    arguments.add_race(parser)
    parser.add_argument("--warmup", type=int, metavar="N", help="transcriptions before the timed runs (default: 1)")
    parser.add_argument(
        "--order", choices=("interleaved", "sequential"), default="interleaved",
        help="interleaved: one run of each in turn; sequential: one backend after another (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--pulse", action=argparse.BooleanOptionalAction, default=None,
        help="an untimed transcription right before each timed run (default: on macOS only)",
    )  # fmt: skip
    parser.add_argument("--language", metavar="CODE", help="language of the clip, e.g. en (default: detect it)")
    parser.add_argument("--reference", metavar="TEXT|@FILE", help="the correct text, for the word error rate")
    parser.add_argument("--track", type=int, metavar="N", help="audio track (default: the first with sound)")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds that a backend may go without progress")
    parser.add_argument("--download", action="store_true", help="first download the models that are not here")
    arguments.add_forms(parser)
    parser.add_argument("--no-save", action="store_true", help="do not save the session")


def run(options: argparse.Namespace) -> int:
    """One race for each clip. 0 where every backend was ok and all was kept and written, 1 where not, 130 at Ctrl-C."""
    if options.demo and options.audio:
        raise UserError("both --demo and a file", "give one of the two")
    if not options.demo and not options.audio:
        raise UserError("nothing to transcribe", "name an audio file, or use --demo")
    arguments.check_seconds("--timeout", options.timeout)
    plan, named = plan_from(options), {one.name for one in named_models(options)}
    if options.download and not download_missing(plan):
        return console.EXIT_CANCELLED
    corpora = [name for name in options.audio if name != "-" and is_corpus(Path(name).expanduser())]
    if corpora:
        if len(options.audio) > 1:
            raise UserError(f"{corpora[0]} has clips of its own", "name one folder or manifest, or audio files only")
        from speedtest_tui.cli import corpus

        return corpus.run(options, plan, Path(corpora[0]).expanduser())
    reference = None if options.reference is None else from_option(options.reference)
    outputs = console.requested(options)
    if options.demo:
        demo = demo_clip()
        clips: Sequence[Clip] = [replace(demo, reference=reference or demo.reference)]
    else:
        clips = _readable(options.audio, reference, options.track)
    documents, unkept = [], False
    for number, clip in enumerate(clips, 1):
        which = f"clip {number} of {len(clips)}: " if len(clips) > 1 else ""
        kept = _race(plan, clip, which, save=not options.no_save)
        finished, unkept = kept.document, unkept or kept.advice is not None
        documents.append(finished)
        if "-" not in outputs.values():
            print_results(finished)
        if finished.state == "cancelled":
            break
    written = console.write(outputs, documents)
    if documents[-1].state == "cancelled":
        return console.EXIT_CANCELLED
    results = [result for finished in documents for result in finished.results if _asked(options, result, named)]
    whole = written and not unkept and len(clips) == max(1, len(options.audio)) and bool(results)
    return console.EXIT_OK if whole and all(result.status == "ok" for result in results) else console.EXIT_FAILED


def download_missing(plan: Plan) -> bool:
    """Download what the plan's candidates lack; what cannot be downloaded is said, and its row says so, too.

    False where it was cancelled.
    """
    from speedtest_tui.core.jobs.download import Download
    from speedtest_tui.core.jobs.offers import absent
    from speedtest_tui.core.models.inspect import inspect_models

    asked = sorted(plan.candidates, key=lambda one: one.backend)
    missing = [report for report in inspect_models(asked) if absent(report)]
    if not missing:
        return True
    job = Download(missing)
    if not console.watch_job(job, steps=True) or (job.result is not None and job.result.cancelled):
        console.complain("cancelled: the same command resumes the download")
        return False
    if job.view.state == "failed":
        console.complain(job.view.summary)
    return True


def _readable(names: Sequence[str], reference: str | None, track: int | None) -> list[Clip]:
    """The clips of those files that can be read; the others are named. Raises UserError where none can."""
    clips, refused = [], []
    for name in names:
        try:
            clips.append(load_named(name, reference=reference, track=track))
        except UserError as error:
            refused.append(error)
    last = None if clips else refused.pop()
    for problem in refused:
        console.complain(str(problem))
    if last:
        raise last
    return clips


def _asked(options: argparse.Namespace, result: Result, named: Container[str]) -> bool:
    """Whether a row counts for the exit code: without --backends or --model, what cannot run here was not asked for."""
    asked = options.backends is not None or result.candidate in named
    return asked or result.status not in ("unavailable", "missing-model")


def _race(plan: Plan, clip: Clip, which: str = "", *, save: bool) -> Kept:
    """Run one race to its end, or to Ctrl-C, and save it. `which` of several clips it is stands before its name."""
    keep = Keeper(plan, clip, save=save)
    race = Race(plan, clip)
    above = which + _facts(clip, plan.title, plan.runs, plan.order)
    if which and not sys.stderr.isatty():
        console.say(above, error=True)

    def far() -> str:
        found = race.snapshot
        return "" if found.ended else progress(found, plan, clip.seconds, time.monotonic()).words

    race.start()
    try:
        console.watch(
            lambda: [_live(row, plan.runs) for row in race.snapshot.rows], console.joined(race), (above,), far
        )
    except KeyboardInterrupt:
        race.cancel()
    race.join()
    kept = keep(race.snapshot)
    if kept.advice:
        console.complain(f"{kept.advice.what}: use --json to keep the result")
    return kept


def _facts(clip: Clip | ClipFacts, title: str, runs: int, order: str) -> str:
    return " · ".join((clip.name, figures.seconds(clip.seconds), title, f"{figures.count(runs, 'run')}, {order}"))


def _live(row: Row, runs: int) -> LiveRow:
    active = row.phase in ACTIVE_PHASES
    clock = f"  {figures.ticking(time.monotonic() - row.since)}" if active else ""
    state = row.status or ("active" if active else "waiting")
    return LiveRow(state, row.label, headline(row, runs) + clock)


QUALITY = Column("WER", right=True)

COLUMNS = (
    Column(" #"),
    Column("candidate"),
    Column("median ±95 %", right=True),
    Column("RTFx", right=True),
    QUALITY,
    Column("relative", rank=1),
    Column("memory", right=True, rank=2),
    Column("load", right=True, rank=3),
    Column("first", right=True, rank=4),
    Column("import", right=True, rank=5),
    Column("weights", rank=6),
)


PIECES: dict[PieceKind, str] = {
    "same": "", "wrong": "red", "right": "green", "missing": "yellow strike", "extra": "red", "differs": "yellow",
    "mark": "yellow",
}  # fmt: skip


def print_results(document: Document) -> None:
    """Print the table, the transcripts, the remarks and the verdict on standard output."""
    from rich.text import Text

    out = console.stdout()
    clip, plan = document.clip, document.plan
    out.print(Text(_facts(clip, plan.title, plan.runs, plan.order_words)))
    titled = QUALITY._replace(title=quality_title(document.results) or QUALITY.title)
    columns = [titled if column is QUALITY else column for column in COLUMNS]
    left_out = console.print_table(columns, [_cells(result) for result in document.ordered if result.runs_s])
    marks = marks_of(document)
    if marks:
        out.print(Text(f"Transcripts · differences from {against(document.results)}", style="bold"))
    for result in document.ordered:
        name = Text(f" {result.label}  ", style="bold")
        words = result.text or "(no text)" if result.status == "ok" else result.reason
        # A reason is not broken into lines: it ends with a command that can be copied.
        shown = Text(words)
        if result.status == "ok" and result.text and result.candidate in marks:
            shown = Text.assemble(*((text, PIECES[kind]) for text, kind in marks[result.candidate]))
        out.print(console.glyph(result.status), name, shown, sep="", soft_wrap=result.status != "ok")
        if own := figures.measured(result.figures):
            out.print(Text(f"    {own}", style="dim"))
        if "weights" in left_out and result.runs_s:
            out.print(Text(f"    {weights(result)}", style="dim"))
        for warning in result.warnings:
            out.print(console.note(warning, indent="    "))
    for remark in (*clip.warnings, *document.notes):
        out.print(console.note(remark))
    answer = answer_line(document.verdict)
    out.print(Text(document.verdict.sentence, style="" if answer else "bold"))
    if answer:
        out.print(Text(answer, style="bold green" if document.verdict.recommended else "bold"))


def _cells(result: Result) -> tuple[str | Text, ...]:
    won: figures.Mood = "good" if result.rank == 1 or result.recommended else "quiet"
    return (
        console.toned(place_mark(result) or f" {figures.DASH}", won),
        console.toned(result.label, won),
        median(result),
        figures.rtfx(result.rtfx),
        console.toned(quality(result), quality_mood(result)),
        relative(result),
        figures.megabytes(result.memory_mb),
        figures.seconds(result.load_s),
        figures.seconds(result.first_s),
        figures.seconds(result.import_s),
        weights(result),
    )
