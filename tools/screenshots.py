"""Make the pictures of the README: drive the real application on the demo and save what it shows.

Writes screenshots/*.svg, and *.png and race.gif where a Chromium and Pillow are there to draw them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot

from backends.registry import BUILT_IN
from speedtest_tui.core.models.sizes import candidates
from speedtest_tui.core.race.plan import Plan
from speedtest_tui.core.race.row import RaceSnapshot
from speedtest_tui.ui.app import SpeedtestApp
from speedtest_tui.ui.screens.caches import CachesScreen
from speedtest_tui.ui.widgets.clip_pane import ClipPane
from speedtest_tui.ui.workers.settings import Request

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / name) for name in ("hub", ".")]
from server import HubServer  # noqa: E402

PATIENCE_S = 600.0
FRAME_S = 0.5
RECORDED_S = 6.0
REPAIRED_STEPS = 12
CELL_WIDTH, CELL_HEIGHT = 12.2, 24.4
"""Of the SVGs that Textual exports, in pixels."""

CHROMIUM_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip

Shot = Callable[[SpeedtestApp, "Pilot[None]", "Studio"], Awaitable[None]]


class Studio:
    """Saves what an application shows under a name."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.frames: list[Path] = []
        out.mkdir(parents=True, exist_ok=True)

    def save(self, app: SpeedtestApp, name: str) -> Path:
        path = self.out / f"{name}.svg"
        path.write_text(app.export_screenshot(), encoding="utf-8")
        print(f"{path.name}: {app.size.width}x{app.size.height}")
        return path


async def until(app: SpeedtestApp, condition: Callable[[RaceSnapshot], bool]) -> None:
    """Let the race run until its snapshot fulfils a condition."""
    async with asyncio.timeout(PATIENCE_S):
        while app.dashboard.race.snapshot is None or not condition(app.dashboard.race.snapshot):
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)


async def race_at_120x40(app: SpeedtestApp, pilot: Pilot[None], studio: Studio) -> None:
    """The running race, frame by frame, and its end."""
    film = studio.out / "frames"
    film.mkdir(exist_ok=True)
    shown = False
    async with asyncio.timeout(PATIENCE_S):
        while app.dashboard.race.snapshot is None or not app.dashboard.race.snapshot.ended:
            frame = film / f"{len(studio.frames):04}.svg"
            frame.write_text(app.export_screenshot(), encoding="utf-8")
            studio.frames.append(frame)
            snapshot = app.dashboard.race.snapshot
            busy = snapshot is not None and any(
                len(row.runs_s) == 2 and row.phase == "running" for row in snapshot.rows
            )
            if busy and not shown:
                studio.save(app, "dashboard-running")
                shown = True
            await asyncio.sleep(FRAME_S)
    await asyncio.sleep(0.5)
    studio.frames.append(studio.save(app, "dashboard-finished"))
    await pilot.press("m")
    await pilot.pause()
    studio.save(app, "transcripts")
    await pilot.press("m")
    await pilot.press("question_mark")
    await pilot.pause()
    studio.save(app, "help")


async def race_at_80x24(app: SpeedtestApp, pilot: Pilot[None], studio: Studio) -> None:
    """The same at the size that every terminal has, and at a smaller one."""
    await until(app, lambda snapshot: snapshot.ended)
    studio.save(app, "small-80x24")
    await pilot.resize_terminal(60, 15)
    await pilot.pause()
    studio.save(app, "small-60x15")


async def recording_at_120x40(app: SpeedtestApp, pilot: Pilot[None], studio: Studio) -> None:
    """A recording as it runs; needs a microphone that is not silent."""
    await pilot.press("r")
    await asyncio.sleep(RECORDED_S)
    name = app.dashboard.query_one(ClipPane).border_title
    if name == "Recording":
        studio.save(app, "recording")
    else:
        print("no microphone: recording.svg is not made", file=sys.stderr)
    await pilot.press("r")
    async with asyncio.timeout(PATIENCE_S):
        while app.dashboard.worker.microphone.recording:
            await asyncio.sleep(0.1)


async def caches_under_repair(app: SpeedtestApp, pilot: Pilot[None], studio: Studio) -> None:
    """The caches of a damaged home: what is wrong, the running repair, and what came of it."""
    await pilot.press("c")
    screen = app.screen
    assert isinstance(screen, CachesScreen)
    async with asyncio.timeout(PATIENCE_S):
        while not screen.complete:
            await asyncio.sleep(0.1)
    await pilot.pause()
    studio.save(app, "caches")
    await pilot.press("a")
    worker = app.dashboard.worker
    shown = False
    async with asyncio.timeout(PATIENCE_S):
        while worker.view is None or not worker.view.over:
            done = sum(row.state == "done" for row in worker.view.rows) if worker.view else 0
            if done >= REPAIRED_STEPS and not shown:
                studio.save(app, "caches-repairing")
                shown = True
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.0)
    studio.save(app, "caches-repaired")


def damaged_home(folder: Path, hub: HubServer) -> dict[str, str]:
    """The home that the tests repair, below a folder; returns what to set for it."""
    from damaged_home import build
    from repos import Kit

    environment: dict[str, str] = build(folder / "home", hub, Kit(folder / "kit")).environment(hub)
    return environment


async def take(
    shot: Shot, size: tuple[int, int], studio: Studio, *, demo: bool = True, plan: Plan | None = None
) -> None:
    """Open the dashboard at a size and let a shot be taken of it."""
    default = Plan(candidates(BUILT_IN), runs=3)
    app = SpeedtestApp(Request(plan or default, demo=demo, autostart=demo, open_backends=plan is None))
    async with app.run_test(size=size) as pilot:
        await shot(app, pilot, studio)
    app.dashboard.worker.close()


def draw(svg: Path, png: Path, browser: str) -> None:
    """Turn an SVG into a PNG of its own size."""
    head = svg.read_text(encoding="utf-8")[:200]
    _, _, width, height = head.partition('viewBox="')[2].partition('"')[0].split()
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, *CHROMIUM_FLAGS, f"--user-data-dir={profile}", f"--screenshot={png}"]
        command += [f"--window-size={float(width):.0f},{float(height):.0f}", svg.absolute().as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)


def film(frames: list[Path], out: Path, browser: str) -> None:
    """An animated GIF of the race, a frame every FRAME_S seconds, the last one held."""
    from PIL import Image

    pictures = []
    for frame in frames:
        png = frame.with_suffix(".png")
        draw(frame, png, browser)
        with Image.open(png) as picture:
            scaled = picture.convert("RGB").resize((picture.width * 5 // 8, picture.height * 5 // 8))
            pictures.append(scaled.quantize(colors=32, dither=Image.Dither.NONE))
    durations = [int(FRAME_S * 1000)] * (len(pictures) - 1) + [4000]
    pictures[0].save(out, save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=True)


def short(studio: Studio) -> int:
    """Whether it works: one backend that needs no weights, one run."""
    plan = Plan(candidates(entry for entry in BUILT_IN if entry.name == "pocketsphinx"), runs=1)
    with tempfile.TemporaryDirectory() as home:
        for name in ("DATA", "CONFIG", "MODELS"):
            os.environ[f"SPEEDTEST_{name}_DIR"] = f"{home}/{name}"
        asyncio.run(take(race_at_80x24, (80, 24), studio, plan=plan))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "screenshots", metavar="FOLDER")
    parser.add_argument("--short", action="store_true", help="two small SVGs of a race of one backend, no more")
    options = parser.parse_args()
    if options.short:
        return short(Studio(options.out))
    with tempfile.TemporaryDirectory() as home:
        # Sessions and settings of whoever runs this are neither shown nor touched.
        os.environ.update(SPEEDTEST_DATA_DIR=f"{home}/data", SPEEDTEST_CONFIG_DIR=f"{home}/config")
        studio = Studio(options.out)
        asyncio.run(take(race_at_120x40, (120, 40), studio))
        asyncio.run(take(race_at_80x24, (80, 24), studio))
        asyncio.run(take(recording_at_120x40, (120, 40), studio, demo=False))
    with tempfile.TemporaryDirectory() as folder, HubServer() as hub:
        os.environ.update(damaged_home(Path(folder), hub))
        asyncio.run(take(caches_under_repair, (120, 40), studio, demo=False))
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        print("no Chromium on PATH: the SVGs are there, PNGs and the GIF are not made", file=sys.stderr)
        return 0
    for svg in sorted(options.out.glob("*.svg")):
        draw(svg, svg.with_suffix(".png"), browser)
    film(studio.frames, options.out / "race.gif", browser)
    shutil.rmtree(options.out / "frames")
    return 0


if __name__ == "__main__":
    sys.exit(main())
