"""The dashboard through Pilot: every key, every state, with a worker that starts nothing."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import states
from rich.cells import cell_len
from textual.binding import Binding
from textual.widgets import Static

from backends.base import Advice
from backends.registry import BUILT_IN
from speedtest_tui.core.models.sizes import Unavailable, cross, parse
from speedtest_tui.core.models.status import ModelReport
from speedtest_tui.core.settings import Reading, Settings
from speedtest_tui.ui.app import SpeedtestApp
from speedtest_tui.ui.screens.choice import ChoiceScreen
from speedtest_tui.ui.screens.confirm import ConfirmScreen
from speedtest_tui.ui.screens.help import HelpScreen
from speedtest_tui.ui.screens.row import RowScreen
from speedtest_tui.ui.widgets.key_line import KeyLine
from speedtest_tui.ui.widgets.race_pane import CandidateLine, RaceHeader, RacePane
from speedtest_tui.ui.widgets.result_panes import NOTHING_HERE, Guide, TranscriptLine
from speedtest_tui.ui.widgets.status_line import StatusLine
from speedtest_tui.ui.workers.messages import BackendsKnown, ClipReady, ClipRefused, ModelsKnown, RecorderChanged

MakeApp = Callable[..., SpeedtestApp]


def worker_of(app: SpeedtestApp) -> states.StillWorker:
    worker = app.dashboard.worker
    assert isinstance(worker, states.StillWorker)
    return worker


def bars(app: SpeedtestApp) -> list[str]:
    return [str(bar.render()).rstrip() for bar in app.screen.query(CandidateLine)]


def footer_keys(app: SpeedtestApp) -> list[str]:
    return [hint.word for hint in app.screen.query_one(KeyLine).hints()]


async def test_opens_with_every_backend_waiting_and_fills_in(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert worker_of(app).asked[0] == "load None" and "look_around" in worker_of(app).asked
        assert "look_up nano" in worker_of(app).asked
        assert [bar.split()[1] for bar in bars(app)] == [entry.name for entry in states.PLAN.backends]
        assert "interview.m4a" in str(app.screen.query_one("#clip-name", Static).render())
        assert states.MACHINE in str(app.screen.query_one(StatusLine).render())


async def test_autostart_waits_for_the_clip_and_the_backends(still_app: MakeApp) -> None:
    app = still_app(autostart=True)
    async with app.run_test() as pilot:
        await pilot.pause()
        assert worker_of(app).asked.count("start nano x3 on interview.m4a") == 1


async def test_without_autostart_enter_starts_the_race_once(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test() as pilot:
        await pilot.pause()
        assert not any(asked.startswith("start") for asked in worker_of(app).asked)
        await pilot.press("enter", "enter")
        assert worker_of(app).asked.count("start nano x3 on interview.m4a") == 1


async def test_footer_offers_only_what_can_be_done_now(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert footer_keys(app)[:3] == ["record", "race", "open"]
        worker_of(app).show(states.running())
        await pilot.pause()
        assert footer_keys(app)[:2] == ["cancel", "open"]
        worker_of(app).show(states.finished())
        await pilot.pause()
        assert {"race", "copy", "sessions"} <= set(footer_keys(app))
        assert footer_keys(app)[-2:] == ["help", "quit"]
        assert app.screen.query_one(KeyLine).region.bottom == 24


async def test_escape_cancels_and_the_rows_say_so(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        worker_of(app).show(states.running())
        await pilot.press("escape")
        assert worker_of(app).asked[-1] == "cancel"
        worker_of(app).show(states.cancelled())
        await pilot.pause()
        assert "0.401 s" in bars(app)[0] and "1/3 runs" in bars(app)[0]
        assert "cancelled" in str(app.screen.query_one(StatusLine).render())


async def test_rows_keep_their_place_while_racing_and_are_ranked_after(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        worker_of(app).show(states.running())
        await pilot.pause()
        assert [bar.split()[1] for bar in bars(app)] == [row.backend for row in states.running().rows]
        worker_of(app).show(states.finished())
        await pilot.pause()
        names = ["mlx-whisper", "transformers", "pocketsphinx", "parakeet-mlx", "whisper-mps"]
        assert [bar.split()[1].rstrip("!") for bar in bars(app)] == names
        assert "fastest" in bars(app)[0]
        assert "1.3× slower" in bars(app)[1]
        assert "failed: its process crashed (segmentation fault" in bars(app)[4]
        verdict, remarks, statistics, since = (
            str(app.screen.query_one(f"#{name}", Static).render())
            for name in ("verdict", "remarks", "statistics", "since")
        )
        assert verdict.startswith("★ Fastest and good enough: mlx-whisper")
        assert statistics.startswith("mlx-whisper is 1.33×")
        assert remarks.startswith("nano compares overhead only")
        assert since == states.SINCE


async def test_transcripts_show_texts_errors_and_warnings(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        worker_of(app).show(states.finished())
        await pilot.pause()
        shown = [[str(part.render()) for part in line.query(Static)] for line in app.screen.query(TranscriptLine)]
        assert shown[0] == ["mlx-whisper", states.TEXT, "WER 0 %"]
        assert shown[1][1] == states.TEXT.replace(" my ", " ‹the|my› ")
        assert shown[1][2] == "WER 12 %"
        assert shown[2][1].endswith("! its text differed between runs")
        assert shown[4][1] == ("✗ failed: its process crashed (segmentation fault, SIGSEGV) while it was loading")
        worker_of(app).show(states.loading())
        await pilot.pause()
        assert [str(line.query_one(".name", Static).render()) for line in app.screen.query(TranscriptLine)] == [
            "parakeet-mlx"
        ]


async def test_what_is_no_longer_shown_is_let_go(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        worker_of(app).show(states.finished())
        await pilot.pause()
        drawn = [part for line in app.screen.query(TranscriptLine) for part in (line, *line.query(Static))]
        kept = [weakref.ref(one) for part in drawn for one in (part, part._styles_cache)]
        del drawn
        worker_of(app).show(states.loading())
        await pilot.pause()
        assert len(app.screen.query(TranscriptLine)) == 1
        gc.collect()
        assert len([one for one in kept if one()]) == 8, "a line, its three parts, and what each has drawn"


async def test_markup_in_a_transcript_or_error_is_text(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        row = states.ran("mlx-whisper", (0.4,), text="[bold]not markup[/bold] [")
        snapshot = states.running()
        worker_of(app).show(type(snapshot)((row, *snapshot.rows[1:]), "racing"))
        await pilot.pause()
        line = next(iter(app.screen.query(TranscriptLine)))
        assert str(line.query_one(".text", Static).render()) == "[bold]not markup[/bold] ["


async def test_a_refused_clip_is_explained_and_nothing_starts(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.dashboard.clips.clip = None
        app.dashboard.post_message(ClipRefused("a.txt is not audio: name an audio [or] video file"))
        await pilot.pause()
        name = app.screen.query_one("#clip-name", Static)
        assert name.display
        assert "a.txt is not audio: name an audio [or] video file" in str(name.render())
        assert not any(asked.startswith("start") for asked in worker_of(app).asked)


async def test_enter_without_a_clip_races_the_built_in_one(still_app: MakeApp) -> None:
    app = still_app(demo=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert app.dashboard.clips.clip is None
        await pilot.press("enter")
        await pilot.pause()
        assert worker_of(app).asked[-1] == "start nano x3 on interview.m4a"
        assert "load None" in worker_of(app).asked


async def test_backends_of_installed_packages_join_before_a_race_and_not_during_one(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        extra = type(states.PLAN.backends[0])("toy", "toy:Toy", "toy-package")
        app.dashboard.post_message(BackendsKnown((*states.PLAN.backends, extra)))
        await pilot.pause()
        assert bars(app)[-1].split()[1] == "toy"
        worker_of(app).show(states.running())
        app.dashboard.post_message(BackendsKnown(states.PLAN.backends))
        await pilot.pause()
        assert len(app.dashboard.race.plan.backends) == len(states.PLAN.backends) + 1


async def test_help_lists_every_key_and_closes(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        text = str(app.screen.query_one(Static).render())
        assert "Race the chosen backends on the clip" in text
        assert "RTFx" in text
        await pilot.press("escape")
        assert not isinstance(app.screen, HelpScreen)


async def test_q_leaves_in_every_state(still_app: MakeApp) -> None:
    for state in (states.loading, states.running, states.finished, states.cancelled):
        app = still_app()
        async with app.run_test() as pilot:
            await pilot.pause()
            worker_of(app).show(state())
            await pilot.press("q")
            if not state().ended:
                await pilot.press("y")
        assert app.return_code == 0


async def test_every_binding_can_be_found_in_the_palette_or_footer(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test() as pilot:
        await pilot.pause()
        for snapshot in (None, states.running()):
            if snapshot:
                worker_of(app).show(snapshot)
                await pilot.pause()
            titles = {command.title.lower() for command in app.get_system_commands(app.screen)}
            assert {"help", "quit", "cancel" if snapshot else "race"} <= titles
        for binding in app.dashboard.BINDINGS:
            assert isinstance(binding, Binding)
            assert binding.id and binding.tooltip


async def test_pages_of_themes_can_be_turned_before_they_are_laid_out(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test() as pilot:
        app.search_themes()
        await pilot.pause()
        await pilot.press("pageup", "pagedown", "escape")
        await pilot.pause()
        assert app.screen is app.dashboard


async def test_resizing_while_racing_keeps_everything_in_place(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        worker_of(app).show(states.running())
        for size in ((80, 24), (60, 15), (20, 5), (200, 60), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            for bar in app.screen.query(CandidateLine):
                assert bar.render().cell_length <= max(bar.size.width, 40)
        assert "run 2/3 0.3 s" in bars(app)[0]


async def test_m_gives_the_focused_pane_the_screen_and_takes_it_back(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        pane = app.screen.query_one("#transcripts")
        before = pane.region.height
        for back in ("m", "escape"):
            await pilot.press("m")
            await pilot.pause()
            assert app.screen.maximized is pane
            assert pane.region.height > before
            await pilot.press(back)
            await pilot.pause()
            assert app.screen.maximized is None


async def test_plus_and_minus_change_the_runs_and_are_remembered(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("plus", "equals_sign", "minus")
        await pilot.pause()
        assert app.dashboard.race.plan.runs == 4
        assert "runs 4" in str(app.screen.query_one(StatusLine).render())
        assert app.dashboard.store.settings.runs == 4
        await pilot.press(*["minus"] * 9)
        assert app.dashboard.race.plan.runs == 1


async def test_any_mix_of_candidates_can_race_and_is_remembered(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        race, names = app.dashboard.race, ("canary-mlx:nano", "canary-mlx:nano?beam=4", "mlx-whisper:base")
        race.change_candidates([parse(name, BUILT_IN) for name in names])
        await pilot.pause()
        assert tuple(one.name for one in race.plan.candidates) == names == app.dashboard.store.settings.candidates
        assert [row.label for row in race.waiting_rows()] == [
            "canary-mlx nano",
            "canary-mlx nano beam=4",
            "mlx-whisper base",
        ]
        assert len(bars(app)) == 3 and "sizes nano, base" in str(app.screen.query_one(StatusLine).render())
        race.change_candidates(cross([BUILT_IN[0], BUILT_IN[4]], ("small",)))
        await pilot.pause()
        kept = app.dashboard.store.settings
        assert (kept.candidates, kept.size, kept.backends) == ((), "small", ("mlx-whisper", "canary-mlx"))
        assert [row.label for row in race.waiting_rows()] == ["mlx-whisper", "canary-mlx"]


async def test_n_clears_clip_and_results_unless_a_race_is_running(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        worker_of(app).show(states.running())
        await pilot.press("n")
        assert app.dashboard.clips.clip is not None
        worker_of(app).show(states.finished())
        await pilot.pause()
        await pilot.press("n")
        await pilot.pause()
        assert "r records" in str(app.screen.query_one("#clip-name", Static).render())
        assert not app.screen.query(TranscriptLine)
        assert all("waiting" in bar for bar in bars(app))


async def test_y_copies_the_results_as_markdown(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("y")
        assert not any(asked.startswith("copy") for asked in worker_of(app).asked)
        worker_of(app).show(states.finished())
        await pilot.pause()
        await pilot.press("y")
        await pilot.pause()
        assert worker_of(app).asked[-1].startswith("copy **★ Fastest and good enough: mlx-whisper")
        assert app.clipboard.startswith("**★ Fastest and good enough: mlx-whisper")


async def test_a_shows_transcripts_side_by_side_then_each_alone(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        worker_of(app).show(states.finished())
        await pilot.pause()
        lines = list(app.screen.query(TranscriptLine))
        await pilot.press("a")
        await pilot.pause()
        assert len({line.region.y for line in lines}) == 1
        assert len({line.region.x for line in lines}) == len(lines)
        for index, line in enumerate(lines):
            await pilot.press("a")
            await pilot.pause()
            assert [other for other in lines if other.display] == [line], index
        await pilot.press("a")
        await pilot.pause()
        assert all(line.display for line in lines)
        assert len({line.region.y for line in lines}) == len(lines)


async def test_any_key_can_be_rebound(still_app: MakeApp) -> None:
    app = still_app(reading=Reading(Settings(keys={"more-runs": "f5,ctrl+up", "nothing-of-this-name": "f6"})))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("f5", "ctrl+up", "plus")
        assert app.dashboard.race.plan.runs == 5


async def test_settings_that_are_broken_are_named_and_a_theme_is_remembered(still_app: MakeApp) -> None:
    app = still_app(reading=Reading(Settings(theme="nord"), ("config.toml: runs should be a number",)))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert app.theme == "nord"
        assert [notice.message for notice in app._notifications] == ["config.toml: runs should be a number"]
        app.theme = "gruvbox"
        await pilot.pause()
        assert app.dashboard.store.settings.theme == "gruvbox"


async def test_a_failure_of_the_program_is_one_line_and_a_file(
    still_app: MakeApp, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        try:
            raise ValueError("the cause")
        except ValueError:
            app._fatal_error()
    log = tmp_path / "data" / "crash.log"
    assert "the cause" in log.read_text(encoding="utf-8")
    assert app.failure == f"it failed and had to stop: please report it with {log}"
    assert "Traceback" not in capsys.readouterr().err


async def test_a_backend_without_a_model_of_the_size_has_no_row_unless_it_was_chosen(still_app: MakeApp) -> None:
    def reports(size: str) -> tuple[ModelReport, ...]:
        no_model = Unavailable("no-model", Advice(f"no {size} model", "choose another size"))
        without = ModelReport("canary-mlx", size, None, unavailable=no_model)
        return (*(report for report in states.SMALL if report.backend != "canary-mlx"), without)

    async with still_app().run_test(size=(120, 40)) as pilot:
        app: Any = pilot.app
        await pilot.pause()
        app.dashboard.post_message(ModelsKnown("nano", reports("nano")))
        await pilot.pause()
        assert "canary-mlx" not in {entry.name for entry in app.dashboard.race.plan.backends}
        app.dashboard.race.all_backends = False
        app.dashboard.race.change_models(entries=app.dashboard.race.entries)
        app.dashboard.post_message(ModelsKnown("nano", reports("nano")))
        await pilot.pause()
        assert "canary-mlx" in {entry.name for entry in app.dashboard.race.plan.backends}


async def test_results_stay_dimmed_until_the_next_race_begins(still_app: MakeApp) -> None:
    """They are of the race before: of another size, choice of backends or clip."""
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        dashboard, worker = app.dashboard, worker_of(app)
        worker.show(states.finished())
        await pilot.pause()
        assert not dashboard.has_class("-outdated")
        dashboard.race.change_models(size="small")
        await pilot.pause()
        assert dashboard.has_class("-outdated") and "fastest" in bars(app)[0]
        assert app.screen.query(TranscriptLine) and "ready" in str(app.screen.query_one(StatusLine).render())
        dashboard.race.change_models(size="nano")
        await pilot.pause()
        assert not dashboard.has_class("-outdated")
        dashboard.post_message(ClipReady(states.clip_view()))
        await pilot.pause()
        assert dashboard.has_class("-outdated")
        dashboard.race.change_models(entries=[states.PLAN.backends[0]])
        await pilot.pause()
        assert dashboard.has_class("-outdated")
        worker.show(states.running())
        await pilot.pause()
        assert not dashboard.has_class("-outdated") and not app.screen.query_one("#race").border_subtitle


@pytest.mark.parametrize(("answer", "started"), [("y", True), ("n", False), ("escape", False), ("d", False)])
async def test_nano_on_a_clip_of_ones_own_is_asked_about_once(still_app: MakeApp, answer: str, started: bool) -> None:
    app = still_app()
    async with app.run_test(size=(60, 15)) as pilot:
        await pilot.pause()
        app.dashboard.post_message(ClipReady(states.clip_view()))
        await pilot.pause()
        worker = worker_of(app)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmScreen) and not worker.racing
        await pilot.press(answer)
        await pilot.pause()
        assert worker.racing is started
        assert isinstance(app.screen, ChoiceScreen) is (answer == "d")
        if started:
            worker.show(states.finished())
            await pilot.pause()
            await pilot.press("enter")
            await pilot.pause()
            assert worker.racing


async def test_real_models_are_not_asked_about(still_app: MakeApp) -> None:
    """One of them is not here: that is another question."""
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.dashboard.race.change_models(size="small")
        app.dashboard.post_message(ClipReady(states.clip_view()))
        await pilot.pause()
        await pilot.press("enter")
        await pilot.press("d")
        await pilot.pause()
        assert worker_of(app).asked[-1].startswith("start small")


async def test_a_text_entered_after_a_race_judges_it(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        worker = worker_of(app)
        worker.show(states.finished())
        await pilot.pause()
        await pilot.press("t", "x", "f2")
        await pilot.pause()
        assert [asked for asked in worker.asked if asked.startswith("judge")] == [f"judge by {states.TEXT}x"]
        worker.post(ClipReady(states.clip_view()))
        await pilot.pause()
        assert not worker.asked[-1].startswith("judge")


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40), (200, 60)], ids=str)
@pytest.mark.parametrize("apart", [1.0, 0.0], ids=["apart", "tied"])
async def test_the_answer_is_in_sight_however_many_raced(
    still_app: MakeApp, size: tuple[int, int], apart: float
) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        worker_of(app).show(states.many(apart=apart))
        await pilot.pause()
        race = app.screen.query_one("#race")
        for name in ("verdict", "remarks"):
            widget = app.screen.query_one(f"#{name}")
            assert widget.size.height and widget.region.bottom <= race.content_region.bottom, name


async def test_rows_are_selected_sorted_and_opened_by_key(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert not app.screen.check_action("details", ()) and not app.screen.check_action("sort", ())
        worker_of(app).show(states.many())
        await pilot.pause()
        pane = app.dashboard.query_one(RacePane)
        pane.focus()
        await pilot.press("down", "down")
        assert pane.selected == 1
        assert [line.index for line in app.screen.query(CandidateLine) if line.has_class("-selected")] == [1]
        second = pane.rows[1].label
        pane._selected = ""
        await pilot.press("end", "down")
        assert pane.selected == 11 and pane.query_one("#bars").scroll_offset.y == pane.query_one("#bars").max_scroll_y
        await pilot.press("home", "down", "z")
        # By name now: the same candidate is selected, wherever it stands; enter starts a race and opens nothing.
        assert [row.label for row in pane.rows[:10]] == sorted(row.label for row in pane.rows[:10])
        assert pane.rows[pane.selected].label == second and "candidate▾" in str(
            app.screen.query_one(RaceHeader).render()
        )
        for _ in range(9):
            await pilot.press("z")
        assert pane.sort in ("state", "name")
        await pilot.press("e")
        await pilot.pause()
        assert isinstance(app.screen, RowScreen)
        text = str(app.screen.query_one(Static).render())
        assert second in text and "runs" in text and states.TEXT in text
        await pilot.press("right", "escape")
        await pilot.pause()
        assert app.screen is app.dashboard and pane.rows[pane.selected].label != second
        await pilot.press("right")
        await pilot.pause()
        assert isinstance(app.screen, RowScreen)


async def test_rows_are_selected_sorted_and_opened_by_mouse(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        worker_of(app).show(states.many())
        await pilot.pause()
        pane, title = app.dashboard.query_one(RacePane), app.screen.query_one(RaceHeader)
        await pilot.click(list(app.screen.query(CandidateLine))[3])
        assert pane.selected == 3 and pane.has_focus
        for arrow in "▾▴":
            await pilot.click(title, offset=(str(title.render()).index("RTFx"), 0))
            assert f"RTFx{arrow}" in str(title.render())
            assert pane.rows[0].median_s == (min if arrow == "▾" else max)(
                row.median_s for row in pane.rows if row.runs_s
            )
        await pilot.click(list(app.screen.query(CandidateLine))[2], times=2)
        await pilot.pause()
        assert isinstance(app.screen, RowScreen)


async def test_rows_keep_their_place_while_a_race_runs_whatever_they_are_sorted_by(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        worker_of(app).show(states.many("racing"))
        await pilot.pause()
        pane = app.dashboard.query_one(RacePane)
        before = [row.candidate for row in pane.rows]
        pane.sort_by("memory")
        await pilot.pause()
        assert [row.candidate for row in pane.rows] == before
        worker_of(app).show(states.many())
        await pilot.pause()
        assert [row.candidate for row in pane.rows] != before


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40), (200, 60)], ids=str)
async def test_details_of_a_row_follow_the_race_and_know_how_each_ended(
    still_app: MakeApp, size: tuple[int, int]
) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        worker_of(app).show(states.running())
        await pilot.pause()
        await pilot.press("e")
        await pilot.pause()
        shown = app.screen.query_one(Static)
        assert "1 of 3: 0.401 s" in " ".join(str(shown.render()).split())
        worker_of(app).show(states.many())
        await pilot.pause()
        found = []
        for _ in range(12):
            found.append(" ".join(str(shown.render()).split()))
            assert all(cell_len(line) <= shown.size.width for line in str(shown.render()).splitlines()[:-3])
            await pilot.press("right")
            await pilot.pause()
        assert len(set(found)) == 12
        late, once = (
            next(text for text in found if text.startswith(name)) for name in ("candidate late", "candidate once")
        )
        assert all("failed: it ran out of memory: use a smaller model" in text for text in (late, once))
        assert "1 of 3: 0.500 s" in late
        await shown.remove()  # as before the screen is composed: what comes then waits
        worker_of(app).show(states.running())
        await pilot.pause()


async def test_the_pane_does_not_jump_when_a_race_ends(still_app: MakeApp) -> None:
    """What is said at its end has its place while it runs: every line stays where it is."""
    for size in ((80, 24), (120, 40), (200, 60)):
        app = still_app()
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            places = []
            for state in (states.loading(), states.running(), states.finished()):
                worker_of(app).show(state)
                await pilot.pause()
                places.append(
                    [app.screen.query_one(name).region for name in ("#race", "#transcripts", "#remarks", "#since")]
                )
            assert places[0] == places[1] == places[2], size


GUIDE_SIZES = [(60, 15), (80, 24), (120, 40), (200, 60)]


def guide_of(app: SpeedtestApp) -> tuple[bool, list[str]]:
    guide = app.dashboard.query_one(Guide)
    lines = guide.render().plain.split("\n")
    assert not guide.display or (
        guide.size.height == len(lines) and all(cell_len(x) <= guide.size.width for x in lines)
    )
    return guide.display, lines


@pytest.mark.parametrize("size", GUIDE_SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_empty_dashboard_is_a_guide_until_a_clip_is_there(still_app: MakeApp, size: tuple[int, int]) -> None:
    app = still_app(demo=False)
    worker_of(app).offers = states.here("mlx-whisper:small", "parakeet-mlx:small", "mlx-whisper:large-v3-4bit")
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        shown, lines = guide_of(app)
        assert shown and app.dashboard.query_one("#transcripts").size.height >= len(lines)
        assert lines[:3] == [
            "1  r records what you would say · o opens a file",
            "2  b chooses what races · s one size for all",
            "3  ↵ races: which is fastest, and which is good enough?",
        ]
        assert lines[3].startswith("Found in your caches: mlx-whisper small")
        assert "whisper-mps" not in lines[3] and ("large-v3-4bit" in lines[3]) is (size[0] > 80)
        assert not app.screen.query_one("#no-text").display
        await pilot.press("r")
        app.dashboard.post_message(RecorderChanged(states.GROWING))
        await pilot.pause()
        assert not guide_of(app)[0]
        app.dashboard.worker.microphone.recording = False
        app.dashboard.post_message(ClipReady(states.clip_view()))
        await pilot.pause()
        assert not guide_of(app)[0] and app.screen.query_one("#no-text").display
        await pilot.press("n")
        await pilot.pause()
        assert guide_of(app)[0]


async def test_the_guide_says_where_no_model_is_here_and_shows_rebound_keys(still_app: MakeApp) -> None:
    app = still_app(demo=False, reading=Reading(Settings(keys={"open": "f"})))
    async with app.run_test(size=(60, 15)) as pilot:
        await pilot.pause()
        _, lines = guide_of(app)
        assert lines[0] == "1  r records what you would say · f opens a file"
        assert lines[3] == NOTHING_HERE


async def test_nobody_reads_the_caches_for_a_guide_that_is_not_shown(still_app: MakeApp, tmp_path: Path) -> None:
    small = replace(states.PLAN, candidates=tuple(replace(one, size="small") for one in states.PLAN.candidates))
    for facts in ({}, {"demo": False, "audio": tmp_path / "a.wav", "plan": small}, {"autostart": True}):
        app = still_app(**facts)
        async with app.run_test() as pilot:
            await pilot.pause()
            assert "offer" not in worker_of(app).asked and not guide_of(app)[0]


async def test_a_nano_race_of_an_own_clip_offers_the_models_that_are_here(still_app: MakeApp) -> None:
    app = still_app(demo=False)
    names = ("mlx-whisper:tiny", "mlx-whisper:small", "transformers:small", "parakeet-mlx:large-v3")
    worker_of(app).offers = states.here(*names)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.dashboard.post_message(ClipReady(states.clip_view()))
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        question = str(app.screen.query_one("#confirm-question", Static).render())
        assert "Real ones are here: mlx-whisper small, transformers small, parakeet-mlx large-v3." in question
        await pilot.press("d")
        await pilot.pause()
        assert [one.name for one in app.dashboard.race.plan.candidates] == [names[1], names[2], names[3]]
