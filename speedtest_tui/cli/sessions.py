"""`speedtest-tui sessions`: the finished races on disk, one of them, or two next to each other."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from speedtest_tui.cli import console
from speedtest_tui.cli.arguments import Parser, add_forms, add_json, describe
from speedtest_tui.cli.console import Column
from speedtest_tui.core import format as figures
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.locations import sessions_folder
from speedtest_tui.core.sessions import index, store
from speedtest_tui.core.sessions.compare import (
    BackendChange,
    Comparison,
    TextChange,
    age,
    compare,
    factor_words,
    previous_of,
)
from speedtest_tui.core.sessions.index import Summary
from speedtest_tui.core.sessions.store import DamagedSession, Session

if TYPE_CHECKING:
    from rich.text import Text


def add_arguments(parser: Parser) -> None:
    describe(
        parser,
        "List, show, compare and export finished races.",
        "sessions list",
        "sessions show last",
        "sessions compare last",
    )
    actions = parser.add_subparsers(required=True, title="actions", metavar="ACTION", parser_class=Parser)

    def add(name: str, run: Callable[[argparse.Namespace], int], description: str, *examples: str) -> Parser:
        action = actions.add_parser(name, help=description[0].lower() + description[1:-1])
        describe(action, description, *examples)
        action.set_defaults(action=run)
        return action

    listing = add("list", _list, "List all sessions, the newest first.", "sessions list --json")
    add_json(listing)
    showing = add("show", _show, "Show the results of one session.", "sessions show last", "sessions show 20261120")
    showing.add_argument("name", help='its name, the beginning of it, or "last"')
    add_json(showing)
    comparing = add(
        "compare", _compare, "Show what became faster, slower or different between two sessions.",
        "sessions compare last", "sessions compare 20261120 last",
    )  # fmt: skip
    comparing.add_argument("name", metavar="A", help="one session, named as for `show`")
    comparing.add_argument(
        "other", metavar="B", nargs="?", help="another (default: the previous one on the same clip or plan)"
    )
    add_json(comparing)
    exporting = add(
        "export", _export, "Write one session as JSON, CSV or Markdown (default: Markdown on standard output).",
        "sessions export last --csv result.csv",
    )  # fmt: skip
    exporting.add_argument("name", help="a session, named as for `show`")
    add_forms(exporting)


def run(options: argparse.Namespace) -> int:
    """Carry out the action."""
    code: int = options.action(options)
    return code


def _list(options: argparse.Namespace) -> int:
    """Print all sessions. A damaged one is named on stderr and makes the exit code 1."""
    listed: list[Any] = []
    damaged, root = [], sessions_folder()
    for session in index.summaries():
        if isinstance(session, DamagedSession):
            damaged.append(session)
        elif options.json:
            facts = {key: getattr(session, key) for key in ("started", "state", "clip", "plan", "verdict")}
            listed.append({"name": session.name, "path": f"{root}/{session.name}", **facts})
        else:
            listed.append(_line(session))
    if options.json:
        console.print_json({"schema": 2, "sessions": listed, "damaged": [d.name for d in damaged]})
    elif listed:
        console.print_table(LIST, listed)
    elif not damaged:
        console.say("No sessions yet. `speedtest-tui run --demo` makes one.")
    for session in damaged:
        console.complain(f"session {session.name} is damaged: {session.reason}; its folder is {session.folder}")
    return console.EXIT_FAILED if damaged else console.EXIT_OK


LIST = (
    Column("session"), Column("started", rank=4), Column("clip"), Column("length", right=True, rank=3),
    Column("size", rank=1), Column("fastest"), Column("RTFx", right=True), Column("WER", right=True),
    Column("recommended", rank=2),
)  # fmt: skip


def _line(session: Summary) -> tuple[str, ...]:
    best = session.best
    return (
        session.name,
        f"{session.begun:%Y-%m-%d %H:%M}",
        session.clip.name,
        figures.seconds(session.clip.seconds),
        session.plan.models,
        (session.winners or figures.DASH) + (", cancelled" if session.state == "cancelled" else ""),
        figures.rtfx(best.rtfx if best else None),
        f"{'CER ' * (best.rate == 'CER')}{figures.percent(best.wer)}" if best else figures.DASH,
        session.recommended or figures.DASH,
    )


def _show(options: argparse.Namespace) -> int:
    """Print one session as `run` printed it, or its JSON."""
    from speedtest_tui.cli.run import print_results

    session = store.find(options.name)
    if options.json:
        console.print_json(session.document)
    else:
        console.say(f"Saved in {session.folder}")
        print_results(session.document)
    return console.EXIT_OK


def _compare(options: argparse.Namespace) -> int:
    """Print what changed between two sessions; the one that began earlier is "before", however they are given."""
    one = store.find(options.name)
    other = store.find(options.other) if options.other else previous_of(one)
    if other is None:
        raise UserError(f"no earlier session of this machine has {one.name}'s clip or candidates", "name another one")
    if one.name == other.name:
        raise UserError(f"both names mean {one.name}", "name two sessions, or one to compare it with the one before")
    before, after = sorted((one, other), key=lambda session: age(index.summary(session)))
    comparison = compare(before.document, after.document)
    if options.json:
        console.print_json({"schema": 2, "before": before.name, "after": after.name, **asdict(comparison)})
    else:
        print_comparison(comparison, before, after)
    return console.EXIT_OK


def _export(options: argparse.Namespace) -> int:
    """Write one session in the forms asked for; as Markdown on standard output where none is."""
    forms = console.requested(options) or {"markdown": "-"}
    return console.EXIT_OK if console.write(forms, [store.find(options.name).document]) else console.EXIT_FAILED


COLUMNS = (
    Column("candidate"),
    Column("change"),
    Column("factor", right=True),
    Column("(95 %)", rank=2),
    Column("median"),
    Column("WER"),
    Column("text", rank=1),
)

TEXTS: dict[TextChange | None, str] = {
    "same": "same",
    "punctuation": "punctuation",
    "words": "other words",
    None: figures.DASH,
}


def print_comparison(comparison: Comparison, before: Session, after: Session) -> None:
    """Print both sessions' names, the table, what else differs and the headline on standard output."""
    out = console.stdout()
    for title, session in (("before", before), ("after", after)):
        console.say(f"{title:6}  {_label(session)}")
    rates = {row.rate for row in comparison.backends if row.wer_before is not None or row.wer_after is not None}
    shown = [index for index, column in enumerate(COLUMNS) if column.title != "WER" or rates]
    title = "errors" if len(rates) > 1 else max(rates, default="")
    columns = [column._replace(title=title) if column.title == "WER" else column for column in COLUMNS]
    rows = [_cells(row, f"{row.rate} " if len(rates) > 1 else "") for row in comparison.backends]
    console.print_table([columns[index] for index in shown], [[row[index] for index in shown] for row in rows])
    for difference in comparison.differences:
        out.print(console.note(difference.sentence))
    for change in comparison.backends:
        for sentence in (change.detail, *(difference.sentence for difference in change.differences)):
            if sentence:
                out.print(console.note(f"{change.label}: {sentence}"))
    for remark in comparison.remarks:
        out.print(console.note(remark))
    out.print(console.heading(comparison.headline))


def _label(session: Session) -> str:
    document = session.document
    started = document.begun
    clip = document.clip
    facts = (
        session.name,
        f"{started:%Y-%m-%d %H:%M}",
        f"{clip.name}, {figures.seconds(clip.seconds)}",
        document.plan.title,
        figures.count(document.plan.runs, "run"),
    )
    return " · ".join(facts)


def _cells(row: BackendChange, rate: str = "") -> tuple[Text | str, ...]:
    glyph, word, mood = figures.LOOKS[row.change]
    factor, _, interval = factor_words(row.factor).partition(" ") if row.factor else (figures.DASH, "", "")
    return (
        row.label,
        console.toned(f"{glyph} {word}", mood),
        factor,
        interval,
        _step(figures.seconds(row.before_s), figures.seconds(row.after_s)),
        rate + _step(figures.percent(row.wer_before), figures.percent(row.wer_after)),
        TEXTS[row.text],
    )


def _step(before: str, after: str) -> str:
    """ "0.200 s → 0.300 s"; a single dash where neither is known."""
    return before if before == after == figures.DASH else f"{before} → {after}"
