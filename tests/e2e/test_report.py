"""`doctor --report`: everything about a machine, nothing about its owner, whatever a probe does. And `--selftest`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import command_line

from speedtest_tui.core.jobs import report


@pytest.fixture(scope="module")
def sections() -> dict[str, list[tuple[str, str]]]:
    return dict(report.sections())


def test_each_section_says_something(sections: dict[str, list[tuple[str, str]]]) -> None:
    assert list(sections) == [
        "system", "python", "packages", "terminal", "folders", "last race", "crash reports", "mlx", "torch", "lifeline",
        "microphone",
    ]  # fmt: skip
    assert all(sections.values())
    facts = {name: value for found in sections.values() for name, value in found}
    assert "cannot be found out" not in str(sections)
    assert facts["fp32 matmul"] in ("full", "TF32")


def test_a_child_that_holds_the_lock_is_gone(sections: dict[str, list[tuple[str, str]]]) -> None:
    assert sections["lifeline"][0][1].startswith("gone after ")


def test_nothing_of_the_owner_is_in_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "janedoe"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_HOME", str(home / "cache"))
    monkeypatch.setattr(report, "PACKAGES", ())
    facts = [report._private(gather) for gather in (report._system, report._python, report._folders, report._terminal)]
    assert "~/cache/hub" in str(facts)
    assert not any(secret in str(facts) for secret in ("janedoe", "hf_secret"))


def test_a_probe_that_fails_costs_its_own_lines() -> None:
    assert report._private(lambda: report._probed("nothing of the kind"))[0][1].startswith("the probe of nothing")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë's AirPods", "~'s AirPods"),
        ("Zoe\u0308's AirPods", "~'s AirPods"),
        ("zoë-mac.local, ZOË", "~, ~"),
        ("/Volumes/zoë/x_zoë", "/Volumes/~/x_~"),
        ("a.*b", "~"),
        ("azb, Zoëlle, mlx 0.31", "azb, Zoëlle, mlx 0.31"),
    ],
)
def test_names_of_people_and_machines_are_taken_out(text: str, shown: str) -> None:
    assert report.without_names(text, ("zoë-mac.local", "a.*b", "zoë")) == shown


def test_what_would_take_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "WHOLE_S", 0.0)
    sections = dict(report.sections())
    assert "left out" in sections["lifeline"][0][1]
    assert "left out" in sections["microphone"][0][1]


def test_the_selftest_runs_every_step_and_its_race(tmp_path: Path) -> None:
    done = command_line(tmp_path, tmp_path / "models", tmp_path / "data", "doctor", "--selftest", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    steps = {step["name"]: step for step in document["steps"]}
    assert [step["state"] for step in document["steps"] if step["state"] not in ("ok", "skipped")] == []
    assert " s on " in steps["nano race"]["figures"]
    assert str(tmp_path) not in done.stdout
    assert not (tmp_path / "data" / "sessions").exists()


def test_ctrl_c_ends_a_step_and_two_end_the_selftest() -> None:
    command = [sys.executable, "-m", "speedtest_tui", "doctor", "--selftest"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    said = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)  # two at once are one
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, said + out + errors
    assert "cancelled" in said + out and not errors
