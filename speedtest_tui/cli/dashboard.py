"""`speedtest-tui`: opens the dashboard."""

from __future__ import annotations

import argparse
import gc
import sys
from dataclasses import replace

from backends.catalogue import SIZES
from backends.registry import BUILT_IN, entries
from speedtest_tui.cli.console import EXIT_OK, complain
from speedtest_tui.cli.options import known_for, options_from, plan_from, usable
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models.own import may_mean
from speedtest_tui.core.models.sizes import check_options, named
from speedtest_tui.core.settings import Settings, load
from speedtest_tui.ui.workers import web
from speedtest_tui.ui.workers.settings import Request


def dashboard(options: argparse.Namespace) -> int:
    """Check what can be checked at once, open the screen, and afterwards see a cancelled race kept."""
    check_clip(options)
    if web.served():
        web.end_with_server()
    elif not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError("the dashboard needs a terminal", "use `speedtest-tui run` where there is none")
    # Nothing that is made before the first frame is garbage: looking for some would cost a tenth of the way there.
    gc.disable()
    app_request = request(options)
    from speedtest_tui.ui.app import SpeedtestApp

    app = SpeedtestApp(app_request)
    try:
        app.run()
    finally:
        app.dashboard.worker.close()
    if app.failure:
        complain(app.failure)
    return app.return_code or EXIT_OK


def check_clip(options: argparse.Namespace) -> None:
    """Raises UserError where there cannot be a clip."""
    if options.demo and options.audio:
        raise UserError("both --demo and a file", "give one of the two")
    if options.audio is not None and not options.audio.is_file():
        problem = "is a folder" if options.audio.is_dir() else "does not exist"
        raise UserError(f"{options.audio} {problem}", "name an audio or video file")


def request(options: argparse.Namespace) -> Request:
    """Merge options and settings; an option counts for this time only and is not remembered.

    The demo is always the same race: nano, all backends. Raises UserError for an option that cannot be met.
    """
    reading = usable(load(), BUILT_IN)
    settings = Settings() if options.demo else reading.settings
    # What was remembered may be gone by now, and a package that is not yet known may bring it: all are offered then.
    if not {entry.name for entry in BUILT_IN}.issuperset(settings.backends):
        settings = replace(settings, backends=())
    try:
        for text in settings.candidates:
            one = named(text, entries())
            check_options(one.entry, one.options)
    except UserError as error:
        reading = replace(reading, problems=(*reading.problems, f"settings, candidates: {error}"))
        settings = replace(settings, candidates=())
    if not may_mean(settings.size):
        settings = replace(settings, size=SIZES[0])
    return Request(
        plan=plan_from(options, settings, at_once=True),
        audio=options.audio,
        demo=options.demo,
        autostart=bool(options.demo or options.audio),
        open_backends=not (
            options.backends or options.model or options.shortlist or settings.backends or settings.candidates
        ),
        ascii_only=options.ascii or reading.settings.ascii,
        reading=reading,
        options=options_from(options.option, settings.options, known_for(options)),
    )
