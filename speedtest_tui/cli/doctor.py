"""`speedtest-tui doctor`: what is installed, what is missing, and what to do about it."""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from speedtest_tui import __version__
from speedtest_tui.cli import on_signals
from speedtest_tui.cli.arguments import Parser, add_json, describe
from speedtest_tui.cli.console import (
    EXIT_CANCELLED,
    EXIT_FAILED,
    EXIT_OK,
    Column,
    glyph,
    heading,
    note,
    print_json,
    print_table,
    say,
    stdout,
)
from speedtest_tui.core.format import LOOKS
from speedtest_tui.core.jobs.doctor import Installation, examine


def add_arguments(parser: Parser) -> None:
    describe(
        parser,
        "Check the installation: backends, microphones and folders. Exit code 1 while no backend can run.",
        "doctor",
        "doctor --json",
        "doctor --report",
        "doctor --selftest",
    )
    add_json(parser)
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument(
        "--selftest", action="store_true",
        help="try out what races rely on, in at most ten minutes; Ctrl-C ends a step, twice ends all",
    )  # fmt: skip
    modes.add_argument(
        "--report", action="store_true", help="everything about this machine for a bug report, nothing private in it"
    )
    parser.add_argument("--microphone", action="store_true", help="with --report: listen for a second")


def run(options: argparse.Namespace) -> int:
    """Print what was found; exit code 1 while no backend can run."""
    if options.selftest:
        return _selftest(options.json)
    if options.report:
        from speedtest_tui.core.jobs import report

        if options.json:
            sections = {
                title: list(map(list, facts)) for title, facts in report.sections(microphone=options.microphone)
            }
            print_json({"schema": 1, "program": f"speedtest-tui {__version__}", "sections": sections})
            return EXIT_OK
        for line in report.text(microphone=options.microphone).splitlines():
            say(line)
        return EXIT_OK
    installation = examine()
    if options.json:
        print_json(installation.to_json())
    else:
        _print(installation)
    return EXIT_OK if any(backend.ok for backend in installation.backends) else EXIT_FAILED


def _selftest(as_json: bool) -> int:
    """Exit code 1 where a step failed, 130 where all was ended."""
    from speedtest_tui.core.jobs import selftest

    test = selftest.Selftest()
    watched = sys.stderr.isatty()

    def begun(step: selftest.Step) -> None:
        if watched:
            sys.stderr.write(f"\r\x1b[K· {step.name}, at most {step.limit_s:g} s")
            sys.stderr.flush()

    def ended(number: int, frame: object) -> None:
        test.interrupt()
        test.ended = test.ended or number != signal.SIGINT

    on_signals(ended)
    results = []
    for result in test.results(begun):
        results.append(result)
        if watched:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        if not as_json:
            look = LOOKS[result.state]
            words = result.figures if result.state in ("ok", "failed", "skipped") else f"{look.word}: {result.figures}"
            stdout().print(note(f"{result.name}: {words}", look.glyph, look.mood))
    if as_json:
        steps = [{**asdict(result), "seconds": round(result.seconds, 3)} for result in results]
        print_json({"schema": 1, "program": f"speedtest-tui {__version__}", "ended": test.ended, "steps": steps})
    else:
        counts = Counter(result.state for result in results)
        say(", ".join(f"{count} {LOOKS[state].word}" for state, count in counts.items()))
        eyes = [f"  {result.name}: {result.eyes}" for result in results if result.eyes]
        say("\nWhat is left for eyes and hands (docs/mac-checklist.md):\n" + "\n".join(eyes))
    return EXIT_CANCELLED if test.ended else EXIT_FAILED if any(result.bad for result in results) else EXIT_OK


def _print(installation: Installation) -> None:
    console = stdout()
    say(f"{installation.program} · Python {installation.host.python}")
    say(installation.host.sentence())

    def section(title: str, lines: Sequence[tuple[bool, tuple[str, ...]]]) -> None:
        console.print(heading(f"\n{title}"))
        columns = [Column("")] * (2 + len(lines[0][1]))
        print_table(columns, [(" ", glyph("ok" if ok else "failed"), *cells) for ok, cells in lines], titles=False)

    section(
        "Backends",
        [
            (b.ok, (b.name, b.version or "not installed", b.device, f"models: {', '.join(b.sizes) or 'none yet'}"))
            for b in installation.backends
        ],
    )
    microphones = installation.microphones
    if microphones.advice:
        section("Microphones", [(False, (microphones.advice.what,))])
    else:
        found = [(d.name, f"{d.rate / 1000:g} kHz", "default" if d.is_default else "") for d in microphones.devices]
        section("Microphones", [(True, cells) for cells in found])
    if installation.permission:
        say(f"  the permission to record: {installation.permission}")
    section(
        "Folders",
        [
            (
                c.writable,
                (c.name, c.path, "" if c.exists else "(made when needed)", f"{c.free_bytes / 1e9:.1f} GB free"),
            )
            for c in installation.caches
        ],
    )
    problems = installation.problems()
    console.print(heading("\nProblems" if problems else "\nNo problems found."))
    for problem in problems:
        say(f"  {problem}")
