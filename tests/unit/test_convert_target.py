"""Where a converted model goes: the name that is suggested, what may be typed, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from speedtest_tui.core.convert.convert import look_at, named, suggested
from speedtest_tui.core.locations import converted_folder


@pytest.fixture(autouse=True)
def home(places: Path) -> Path:
    return places


@pytest.mark.parametrize(
    ("source", "form", "name"),
    [
        ("parakeet-tdt-0.6b-v2.nemo", "bfloat16", "parakeet-tdt-0.6b-v2"),
        ("parakeet-tdt-0.6b-v2.nemo", "float16", "parakeet-tdt-0.6b-v2-float16"),
        ("parakeet-tdt-0.6b-v2.nemo", "8-bit", "parakeet-tdt-0.6b-v2-8bit"),
        ("a b\x1b[31m:c.nemo", "bfloat16", "a-b--31m-c"),
        ("日本.nemo", "bfloat16", "日本"),
        ("....nemo", "bfloat16", "model"),
        ("x" * 300 + ".nemo", "bfloat16", "x" * 80),
    ],
)
def test_the_name_follows_the_file_and_the_format(source: str, form: str, name: str) -> None:
    assert suggested(Path("/downloads") / source, form) == converted_folder() / name


def test_a_name_that_is_taken_gets_a_number() -> None:
    (converted_folder() / "a").mkdir(parents=True)
    (converted_folder() / "a-2").symlink_to("nowhere")
    assert suggested(Path("a.nemo"), "bfloat16") == converted_folder() / "a-3"


def test_what_may_be_typed(home: Path) -> None:
    assert named(" mine ") == converted_folder() / "mine"
    assert named("~/mine") == home / "home" / "mine"
    assert named("/x/y") == Path("/x/y")
    assert named("~nobody-of-this-name/y").name == "y"


def test_what_is_refused(home: Path) -> None:
    (home / "full").mkdir()
    (home / "full" / "x").touch()
    (home / "empty").mkdir()
    (home / "link").symlink_to(home / "empty")
    assert "not empty" in look_at(home / "full").problem
    assert "no folder" in look_at(home / "full" / "x").problem
    assert "no folder" in look_at(home / "link").problem
    assert "choose another" in look_at(home / ("n" * 300)).problem
    assert "choose another" in look_at(Path("/a\0b")).problem
    for free in (home / "empty", home / "not" / "there"):
        assert look_at(free).problem == "" and look_at(free).free > 0
