"""The dashboard through Pilot: every key, every state, with a bridge that starts nothing."""

from __future__ import annotations

from collections.abc import Callable

import states
from textual.widgets import Footer, Static

from speedtest_tui.ui.app import SpeedtestApp
from speedtest_tui.ui.messages import BackendsKnown, ClipRefused
from speedtest_tui.ui.screens.help import HelpScreen
from speedtest_tui.ui.widgets.backend_bar import BackendBar
from speedtest_tui.ui.widgets.status_line import StatusLine
from speedtest_tui.ui.widgets.transcript_pane import TranscriptLine

MakeApp = Callable[..., SpeedtestApp]


def bridge_of(app: SpeedtestApp) -> states.StillBridge:
    bridge = app.dashboard.bridge
    assert isinstance(bridge, states.StillBridge)
    return bridge


def bars(app: SpeedtestApp) -> list[str]:
    return [str(bar.render()).rstrip() for bar in app.screen.query(BackendBar)]


def footer_keys(app: SpeedtestApp) -> list[str]:
    return [str(key.description) for key in app.screen.query("FooterKey").results()]  # type: ignore[attr-defined]


async def test_opens_with_every_backend_waiting_and_fills_in(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert bridge_of(app).asked == ["load None", "look_around"]
        assert [bar.split()[1] for bar in bars(app)] == [entry.name for entry in states.PLAN.backends]
        assert "interview.m4a" in str(app.screen.query_one("#clip-name", Static).render())
        assert states.MACHINE in str(app.screen.query_one(StatusLine).render())


async def test_autostart_waits_for_the_clip_and_the_backends(still_app: MakeApp) -> None:
    app = still_app(autostart=True)
    async with app.run_test() as pilot:
        await pilot.pause()
        assert bridge_of(app).asked[-1] == "start nano x3 on interview.m4a"
        assert bridge_of(app).asked.count("start nano x3 on interview.m4a") == 1


async def test_without_autostart_enter_starts_the_race_once(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test() as pilot:
        await pilot.pause()
        assert not any(asked.startswith("start") for asked in bridge_of(app).asked)
        await pilot.press("enter", "enter")
        assert bridge_of(app).asked.count("start nano x3 on interview.m4a") == 1


async def test_footer_offers_only_what_can_be_done_now(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert footer_keys(app) == ["run", "help", "quit"]
        bridge_of(app).show(states.running())
        await pilot.pause()
        assert footer_keys(app) == ["cancel", "help", "quit"]
        bridge_of(app).show(states.finished())
        await pilot.pause()
        assert footer_keys(app) == ["run", "help", "quit"]
        assert app.screen.query_one(Footer).region.bottom == 24


async def test_escape_cancels_and_the_rows_say_so(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        bridge_of(app).show(states.running())
        await pilot.press("escape")
        assert bridge_of(app).asked[-1] == "cancel"
        bridge_of(app).show(states.cancelled())
        await pilot.pause()
        assert "cancelled: after 1 of 3 runs" in bars(app)[0]
        assert "cancelled" in str(app.screen.query_one(StatusLine).render())


async def test_rows_keep_their_place_while_racing_and_are_ranked_after(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        bridge_of(app).show(states.running())
        await pilot.pause()
        assert [bar.split()[1] for bar in bars(app)] == [row.backend for row in states.running().rows]
        bridge_of(app).show(states.finished())
        await pilot.pause()
        names = ["mlx-whisper", "transformers", "pocketsphinx", "parakeet-mlx", "whisper-mps"]
        assert [bar.split()[1] for bar in bars(app)] == names
        assert "fastest" in bars(app)[0]
        assert "1.3× slower" in bars(app)[1]
        assert "failed: its process crashed (segmentation fault" in bars(app)[4]
        assert "mlx-whisper is 1.33×" in str(app.screen.query_one("#verdict", Static).render())


async def test_transcripts_show_texts_errors_and_warnings(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        bridge_of(app).show(states.finished())
        await pilot.pause()
        shown = [[str(part.render()) for part in line.query(Static)] for line in app.screen.query(TranscriptLine)]
        assert shown[0] == ["mlx-whisper", states.TEXT, "WER 0 %"]
        assert shown[1][2] == "WER 12 %"
        assert shown[2][1].endswith("! its text differed between runs")
        assert shown[4][1] == ("✗ failed: its process crashed (segmentation fault, SIGSEGV) while it was loading")
        bridge_of(app).show(states.loading())
        await pilot.pause()
        assert [str(line.query_one(".name", Static).render()) for line in app.screen.query(TranscriptLine)] == [
            "parakeet-mlx"
        ]


async def test_markup_in_a_transcript_or_error_is_text(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        row = states.ran("mlx-whisper", (0.4,), text="[bold]not markup[/bold] [")
        snapshot = states.running()
        bridge_of(app).show(type(snapshot)((row, *snapshot.rows[1:]), "racing"))
        await pilot.pause()
        line = next(iter(app.screen.query(TranscriptLine)))
        assert str(line.query_one(".text", Static).render()) == "[bold]not markup[/bold] ["


async def test_a_refused_clip_is_explained_and_nothing_starts(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.dashboard.clip = None
        app.dashboard.post_message(ClipRefused("a.txt is not audio: name an audio [or] video file"))
        await pilot.pause()
        name = app.screen.query_one("#clip-name", Static)
        assert name.display
        assert "a.txt is not audio: name an audio [or] video file" in str(name.render())
        await pilot.press("enter")
        assert not any(asked.startswith("start") for asked in bridge_of(app).asked)


async def test_backends_of_installed_packages_join_before_a_race_and_not_during_one(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        extra = type(states.PLAN.backends[0])("toy", "toy:Toy", "toy-package")
        app.dashboard.post_message(BackendsKnown((*states.PLAN.backends, extra)))
        await pilot.pause()
        assert bars(app)[-1].split()[1] == "toy"
        bridge_of(app).show(states.running())
        app.dashboard.post_message(BackendsKnown(states.PLAN.backends))
        await pilot.pause()
        assert len(app.dashboard.plan.backends) == 6


async def test_help_lists_every_key_and_closes(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        text = str(app.screen.query_one(Static).render())
        assert "Race all backends on the clip" in text
        assert "RTFx" in text
        await pilot.press("escape")
        assert not isinstance(app.screen, HelpScreen)


async def test_q_leaves_in_every_state(still_app: MakeApp) -> None:
    for state in (states.loading, states.running, states.finished, states.cancelled):
        app = still_app()
        async with app.run_test() as pilot:
            await pilot.pause()
            bridge_of(app).show(state())
            await pilot.press("q")
        assert app.return_code == 0


async def test_every_binding_can_be_found_in_the_palette_or_footer(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test() as pilot:
        await pilot.pause()
        for snapshot in (None, states.running()):
            if snapshot:
                bridge_of(app).show(snapshot)
                await pilot.pause()
            titles = {command.title.lower() for command in app.get_system_commands(app.screen)}
            assert {"help", "quit", "cancel" if snapshot else "run"} <= titles
        for binding in app.dashboard.BINDINGS:
            assert binding.id and binding.tooltip  # type: ignore[union-attr]


async def test_resizing_while_racing_keeps_everything_in_place(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        bridge_of(app).show(states.running())
        for size in ((80, 24), (60, 15), (20, 5), (200, 60), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            for bar in app.screen.query(BackendBar):
                assert bar.render().cell_length <= max(bar.size.width, 40)
        assert "run 2/3 0.3 s" in bars(app)[0]
