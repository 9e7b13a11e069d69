"""`doctor --report`: everything about a machine, nothing about its owner, whatever a probe does."""

from __future__ import annotations

from pathlib import Path

import pytest

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
