"""Settings: what is remembered, what is kept of a file that a person edited, what a broken one does."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from speedtest_tui.core import settings
from speedtest_tui.core.settings import RECENT_KEPT, Settings


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPEEDTEST_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config" / "config.toml"


def written(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_no_file_means_defaults_and_no_complaint() -> None:
    assert settings.load() == settings.Reading(Settings())


def test_what_is_saved_is_read_again(file: Path) -> None:
    full = Settings(
        "nord", True, "tiny", 9, "de", ("mlx-whisper",), ("a:nano?x=1",), "USB Mic", False, 2.5, ("/a b/ü.wav",)
    )
    settings.save(full)
    assert settings.load() == settings.Reading(full)
    settings.save(Settings())
    assert settings.load() == settings.Reading(Settings())
    assert "theme" not in file.read_text(encoding="utf-8")


def test_comments_keys_and_unknown_entries_of_an_edited_file_survive(file: Path) -> None:
    written(file, '# mine\nruns = 7 # seven\nfuture = 1\n\n[keys]\nrace = "f5"\n')
    reading = settings.load()
    assert reading.settings.keys == {"race": "f5"}
    settings.save(replace(reading.settings, theme="nord"))
    text = file.read_text(encoding="utf-8")
    assert "# mine" in text and "# seven" in text and "future = 1" in text
    again = settings.load()
    assert (again.settings.theme, again.settings.runs, again.settings.keys) == ("nord", 7, {"race": "f5"})


HAND_WRITTEN = """\
runs = "nine" # wrong
size = [ # in size
 "a", # b
]
recent = [ # head
 "/a.wav", # one
 # own
 "/b.wav", '/d.wav' # "two"
 # end # [x]
] # tail
backends = [
  "x", # keep "me"
]
max_wer = nan
device = '''a # none
"b' ''' # c
[theme]
x = 1 # y
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_comments_within_lists_stay_and_a_wrong_value_until_another_is_chosen(file: Path, end: str) -> None:
    file.parent.mkdir()
    file.write_bytes(HAND_WRITTEN.replace("\n", end).encode())
    reading = settings.load()
    wanted = replace(reading.settings, backends=(), device="").with_recent(Path("/c.wav")).with_recent(Path("/b.wav"))
    settings.save(wanted)
    text = file.read_bytes().decode()
    assert f'runs = "nine" # wrong{end}size = [ # in size{end} "a", # b{end}]{end}' in text
    assert f"max_wer = nan{end}" in text and text.endswith(f"[theme]{end}x = 1 # y{end}")
    for comment in ("# head", "# one", "# own", '# "two"', "# end # [x]", "# tail", '# keep "me"', "# c"):
        assert text.count(comment) == 1, comment
    assert '# own\n  "/b.wav",\n  "/c.wav"' in text and '"/a.wav",  # one' in text
    again = settings.load()
    assert again.problems == reading.problems
    assert again.settings == wanted
    settings.save(replace(wanted, runs=7, size="tiny", max_wer=3.0))
    assert settings.load().settings == replace(wanted, runs=7, size="tiny", max_wer=3.0)
    assert {"# wrong", "# in size", "# b"} <= set(re.findall("# (?:wrong|in size|b)$", file.read_text(), re.MULTILINE))


def test_an_end_of_line_that_toml_has_not_makes_no_other_file_of_it(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b'runs = 3\rsize = "tiny"\n')
    assert not settings.load().writable
    with pytest.raises(ValueError, match="line 1"):
        settings.save(Settings(runs=7))
    assert file.read_bytes() == b'runs = 3\rsize = "tiny"\n'


def test_a_broken_file_is_named_and_left_alone(file: Path) -> None:
    written(file, "runs = = 3")
    reading = settings.load()
    assert reading.settings == Settings()
    assert not reading.writable
    assert str(file) in reading.problems[0] and "no valid TOML" in reading.problems[0]
    with pytest.raises(ValueError, match="at line 1"):
        settings.save(Settings(theme="nord"))
    assert file.read_text(encoding="utf-8") == "runs = = 3"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("runs = 0", "runs should be a number from 1 to 1000"),
        ("runs = true", "runs should be"),
        ('runs = "5"', "runs should be"),
        ("theme = 3", "theme should be a text"),
        ("silence_stop = -1", "silence_stop should be a number of seconds from 0 to 600"),
        ("ascii = 1", "ascii should be true or false"),
        ("recent = [1]", "recent should be a list of texts"),
        ("keys = 1", "keys should name keys as texts"),
        ("[keys]\nrace = 5", "keys should name keys as texts"),
        ("colour = 1", "nothing is called 'colour'"),
    ],
)
def test_a_wrong_value_is_named_and_the_others_count(file: Path, line: str, complaint: str) -> None:
    written(file, f'size = "tiny"\n{line}\n')
    reading = settings.load()
    assert reading.settings == Settings(size="tiny")
    assert len(reading.problems) == 1
    assert complaint in reading.problems[0]


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5_000, "a = " + "9" * 5_000, "a = 1e999999999", "\x00", 'a = "\\uD800"', "[" * 100_000],
    ids=lambda text: ascii(text)[:20],
)
def test_a_file_that_no_person_wrote_is_named_and_left_alone(file: Path, text: str) -> None:
    written(file, text)
    reading = settings.load()
    assert reading.settings == Settings()
    assert all(len(problem) < 1000 and "\n" not in problem for problem in reading.problems)
    with contextlib.suppress(ValueError):
        settings.save(replace(Settings(), size="tiny"))
    assert text[:100] in file.read_text()


def test_what_can_be_read_but_not_written_again_is_refused(file: Path) -> None:
    written(file, ".".join("a" * 5_000) + " = 1\n")
    settings.load()
    with contextlib.suppress(ValueError):
        settings.save(replace(Settings(), size="tiny"))
    assert file.read_text().startswith("a.a.a")


def test_a_link_into_a_folder_of_dotfiles_stays_one(file: Path, tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "dotfiles" / "config.toml").write_text("# mine\n")
    file.parent.mkdir()
    file.symlink_to(tmp_path / "dotfiles" / "config.toml")
    settings.save(replace(Settings(), size="tiny"))
    assert file.is_symlink()
    assert (tmp_path / "dotfiles" / "config.toml").read_text().startswith("# mine")


def test_a_folder_in_its_place_is_named(file: Path) -> None:
    file.mkdir(parents=True)
    reading = settings.load()
    assert not reading.writable
    assert "cannot be read" in reading.problems[0]


def test_recent_files_are_kept_once_newest_first() -> None:
    remembered = Settings()
    for name in [*(f"/clips/{i}.wav" for i in range(RECENT_KEPT + 5)), "/clips/20.wav"]:
        remembered = remembered.with_recent(Path(name))
    assert remembered.recent[:2] == ("/clips/20.wav", "/clips/24.wav")
    assert len(remembered.recent) == len(set(remembered.recent)) == RECENT_KEPT
