"""`doctor --selftest`: every step does what it says here, ends by its limit or by Ctrl-C, and tells what is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest
from racing import python_path, survivors

from speedtest_tui.core import darwin, host
from speedtest_tui.core.format import LOOKS, PAIRS
from speedtest_tui.core.jobs import selftest
from speedtest_tui.core.jobs.report import CHILD
from speedtest_tui.core.jobs.report_child import Found, Measured, Probe
from speedtest_tui.core.jobs.selftest import STEPS, Result, Selftest, Skipped, Step, Wrong
from speedtest_tui.core.process.parent import ask


def only(step: Step) -> Result:
    (result,) = Selftest((step,)).results()
    return result


def hangs_in_a_child(stop: threading.Event) -> str:
    """Its child holds the interpreter lock for a minute."""
    ask(CHILD, Probe("holds the lock"), Measured, "it", stop, progress=(Found,))
    return "not asked to go on"


def fine(_: threading.Event) -> str:
    return "fine"


def test_all_of_it_takes_ten_minutes_at_most() -> None:
    assert sum(step.limit_s + selftest.GRACE_S for step in STEPS) <= 600
    assert len({step.name for step in STEPS}) == len(STEPS)


@pytest.mark.parametrize("step", [step for step in STEPS if step.name != "nano race"], ids=lambda step: step.name)
def test_each_step_here(step: Step) -> None:
    result = only(step)
    there = step.only_on in ("", sys.platform) and step.name not in ("glyphs", "microphone", "GPU wiring")
    assert result.state == "ok" if there else result.state in ("ok", "skipped"), result
    assert result.figures and result.state in LOOKS


def test_a_step_that_hangs_ends_by_its_limit_with_its_child(mark: str) -> None:
    result = only(Step("slow", hangs_in_a_child, 0.5))
    assert (result.state, result.figures, result.bad) == ("timeout", "not done within 0.5 s", True)
    assert survivors(mark) == []


def test_a_step_that_cannot_be_ended_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "GRACE_S", 0.1)
    free = threading.Event()
    stuck = Step("stuck", lambda _: str(free.wait(60)), 0.1)
    assert [result.state for result in Selftest((stuck, Step("next", fine, 5))).results()] == ["timeout", "ok"]
    free.set()


@pytest.mark.parametrize(("between_s", "states"), [(5.0, ["cancelled", "cancelled", "ok"]), (1.0, ["cancelled"] * 3)])
def test_an_interruption_ends_a_step_and_a_second_one_soon_after_ends_all(
    mark: str, between_s: float, states: list[str]
) -> None:
    now = 0.0
    test = Selftest((Step("a", hangs_in_a_child, 60), Step("b", hangs_in_a_child, 60), Step("c", fine, 5)), lambda: now)

    def begun(step: Step) -> None:
        if step.name != "c":
            threading.Timer(0.3, interrupt).start()

    def interrupt() -> None:
        nonlocal now
        test.interrupt()
        now += between_s

    assert [result.state for result in test.results(begun)] == states
    assert test.ended == (between_s < selftest.AGAIN_S)
    assert survivors(mark) == []


def test_whatever_goes_wrong_is_one_line_without_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "janedoe"))

    def breaks(_: threading.Event) -> str:
        raise OSError(f"no {tmp_path}/janedoe/x\nat all")

    result = only(Step("breaks", breaks, 5))
    assert (result.state, result.figures) == ("failed", "OSError: no ~/x\\nat all")


@pytest.mark.parametrize(
    ("pulse", "ok"), [(0.0101, True), (0.02, False)],
)  # fmt: skip
def test_a_pulse_must_warm_up(monkeypatch: pytest.MonkeyPatch, pulse: float, ok: bool) -> None:
    figures = Measured({"hot": 0.01, "idle": 0.05, "pulse": pulse})
    monkeypatch.setattr("speedtest_tui.core.process.parent.ask", lambda *_: figures)
    result = only(Step("wiring", selftest._wiring, 5))
    assert result.state == ("ok" if ok else "failed")
    assert f"hot 10.0 ms, after 2 s idle 50.0 ms, after a pulse {pulse * 1e3:.1f} ms" in result.figures


def test_memory_that_is_told_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "SHARE", -1.0)
    assert "200 MB taken" in only(Step("memory", selftest._memory, 60)).figures
    assert only(Step("memory", selftest._memory, 60)).state == "failed"


def test_clocks_that_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    asleep = iter((0.0, 3.0))
    monkeypatch.setattr("speedtest_tui.core.race.watch.slept", lambda: next(asleep))
    with pytest.raises(Wrong, match=r"disagree in 1\.0\d\d s.*asleep 3.0000 s"):
        selftest._clock(threading.Event())


@pytest.mark.parametrize(
    ("permission", "state"), [("allowed", "ok"), ("not-asked", "skipped"), ("denied", "failed"), (None, "failed")]
)
def test_the_permission_to_record(monkeypatch: pytest.MonkeyPatch, permission: darwin.Permission, state: str) -> None:
    monkeypatch.setattr(darwin, "microphone_permission", lambda: permission)
    assert only(Step("microphone", selftest._permission, 5)).state == state


@pytest.mark.parametrize(
    ("line", "found"),
    [("   pid {}(caffeinate): [0x01] 00:00:01 PreventUserIdleSystemSleep named: x", True), ("pid {}(other)", False)],
)
def test_what_keeps_awake_is_listed_while_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, found: bool
) -> None:
    (tmp_path / "caffeinate").write_text("#!/bin/sh\nexec sleep 600\n")
    listing = f"for p in $(pgrep -P {os.getpid()} -f 'sleep 600'); do echo \"{line.format('$p')}\"; done"
    (tmp_path / "caffeinate").chmod(0o755)
    monkeypatch.setattr(selftest, "LISTED_S", 5.0 if found else 0.5)
    monkeypatch.setattr(host, "LIMIT_S", 20.0)
    step = Step(
        "awake", lambda stop: selftest._awake(stop, str(tmp_path / "caffeinate"), ("/bin/sh", "-c", listing)), 60
    )
    result = only(step)
    assert result.state == ("ok" if found else "failed"), result.figures


TERMINAL = """
import fcntl, sys, termios, threading
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from speedtest_tui.core.jobs import selftest
selftest.ANSWER_S = float(sys.argv[1])
try:
    print("OK", selftest._glyphs(threading.Event()))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("answer_s", "wide", "said"),
    [(30.0, "", "OK"), (30.0, "►↵", "UserError not one cell: ► takes 2, ↵ takes 2"), (0.5, None, "Skipped")],
)
def test_a_terminal_says_how_wide_glyphs_are(answer_s: float, wide: str | None, said: str) -> None:
    """wide: those that this terminal draws in two cells; None: it never answers"""
    terminal, inner = os.openpty()
    modes = termios.tcgetattr(inner)
    process = subprocess.Popen(
        [sys.executable, "-c", TERMINAL, str(answer_s)], stdin=inner, stdout=inner, stderr=inner,
        start_new_session=True, env={**os.environ, "PYTHONPATH": python_path(), "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    out, asked, end = b"", 0, time.monotonic() + 60
    expected = said.split(maxsplit=1)[0].encode()
    while not re.search(expected + rb".*\n", out) and time.monotonic() < end:
        out += os.read(terminal, 4096)
        for question in list(re.finditer(rb"\r([^\r]+?)\x1b\[6n", out))[asked:]:
            asked += 1
            if wide is not None:
                os.write(terminal, b"\x1b[9;%dR" % (3 if question[1].decode() in wide else 2))
    assert process.wait(30) == 0
    assert termios.tcgetattr(inner) == modes
    os.close(inner)
    os.close(terminal)
    number = len("".join(PAIRS))
    assert (f"OK {number} glyphs" if wide == "" else said) in out.decode(), out
    assert asked == (1 if wide is None else number)


def test_without_a_terminal_the_glyphs_are_shown() -> None:
    with pytest.raises(Skipped, match=r"no terminal; look whether these are in line: .*↵"):
        selftest._glyphs(threading.Event())


def test_glyphs_have_no_emoji_form_and_are_in_the_fonts_of_terminals() -> None:
    """Unicode's emoji-variation-sequences.txt has the first two; Menlo takes the others from another font."""
    drawn = "".join(look.glyph for look in LOOKS.values())
    assert set(drawn) <= {*"".join(PAIRS), *"=+?"}
    assert not set(drawn + "".join(PAIRS)) & set("▶◀⏎⚯◐◒")
