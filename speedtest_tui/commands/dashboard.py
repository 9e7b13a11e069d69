"""`speedtest-tui`: opens the dashboard."""

from __future__ import annotations

import argparse
import sys

from backends.registry import BUILT_IN
from speedtest_tui.cli import DEMO_RUNS, EXIT_OK, backend_names
from speedtest_tui.core.bench.plan import DEFAULT_RUNS, Plan, choose
from speedtest_tui.core.errors import UserError
from speedtest_tui.ui.request import Request


def dashboard(options: argparse.Namespace) -> int:
    """Check what can be checked at once, open the screen, and afterwards see a cancelled race kept."""
    if options.demo and options.audio:
        raise UserError("both --demo and a file", "give one of the two")
    if options.audio is not None and not options.audio.is_file():
        problem = "is a folder" if options.audio.is_dir() else "does not exist"
        raise UserError(f"{options.audio} {problem}", "name an audio or video file")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError("the dashboard needs a terminal", "use `speedtest-tui run` where there is none")
    request = Request(
        plan=_plan(options),
        audio=options.audio,
        autostart=bool(options.demo or options.audio),
        open_backends=options.backends is None,
    )
    from speedtest_tui.ui.app import SpeedtestApp

    app = SpeedtestApp(request)
    try:
        app.run()
    finally:
        app.dashboard.bridge.close()
    return app.return_code or EXIT_OK


def _plan(options: argparse.Namespace) -> Plan:
    """The plan, without asking installed packages for backends unless a name makes it necessary: that takes time."""
    names = backend_names(options.backends)
    known = {entry.name for entry in BUILT_IN}
    needs_all = (names is not None and not known.issuperset(names)) or options.size is not None
    if needs_all:
        from speedtest_tui.commands.request import plan_from

        return plan_from(options)
    runs = options.runs if options.runs is not None else DEMO_RUNS if options.demo else DEFAULT_RUNS
    return Plan(choose(names, BUILT_IN), runs=runs)
