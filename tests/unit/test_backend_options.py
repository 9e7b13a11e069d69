"""Options of single backends, from the command line and the settings to what a child is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.base import BackendEntry, Location, ModelSpec
from speedtest_tui.cli.options import options_from, usable
from speedtest_tui.core import settings
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.race.prepare import assign
from speedtest_tui.core.settings import Reading, Settings

PARAKEET = BackendEntry("parakeet-mlx", "backends.parakeet.mlx:ParakeetMlx")
WHISPER = BackendEntry("mlx-whisper", "backends.whisper.mlx:MlxWhisper")
KNOWN = (PARAKEET, WHISPER)


def test_nothing_set() -> None:
    assert options_from(None, {}, KNOWN) == ()


def test_options_replace_settings_one_by_one() -> None:
    kept = {"parakeet-mlx": {"beam": "2", "chunk_seconds": "60"}, "of-a-package-that-is-gone": {"a": "b"}}
    assert options_from(["parakeet-mlx.beam = 4"], kept, KNOWN) == (
        ("parakeet-mlx", "beam", "4"),
        ("parakeet-mlx", "chunk_seconds", "60"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("beam=4", "--option takes BACKEND.NAME=VALUE, not 'beam=4': as in parakeet-mlx.beam=4"),
        ("parakeet-mlx.beam", "--option takes BACKEND.NAME=VALUE, not 'parakeet-mlx.beam'"),
        ("nobody.beam=4", "no backend is called 'nobody': choose from parakeet-mlx, mlx-whisper"),
        ("parakeet-mlx.beam=0", r"option beam is '0' \(parakeet-mlx\): give a whole number from 1 to 64"),
        ("parakeet-mlx.lamp=1", r"no option is called 'lamp' \(parakeet-mlx\): choose from chunk_seconds"),
        ("mlx-whisper.beam=4", "mlx-whisper has no options to set: leave its options out"),
    ],
)
def test_what_is_no_option(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        options_from([text], {}, KNOWN)


def test_a_setting_that_cannot_be_used_is_named_and_left_out() -> None:
    reading = Reading(Settings(options={"parakeet-mlx": {"beam": "many"}, "gone": {"a": "b"}}))
    found = usable(reading, KNOWN)
    assert found.settings.options == {"gone": {"a": "b"}}
    assert found.problems == (
        "settings, [options.parakeet-mlx]: option beam is 'many' (parakeet-mlx): give a whole number from 1 to 64",
    )


def test_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEEDTEST_CONFIG_DIR", str(tmp_path))
    file = tmp_path / "config.toml"
    file.write_text('[options.parakeet-mlx]\nbeam = 4 # wide\noverlap_seconds = 2.5\nchunk_seconds = "20"\n')
    reading = settings.load()
    assert reading.problems == ()
    assert reading.settings.options == {
        "parakeet-mlx": {"beam": "4", "overlap_seconds": "2.5", "chunk_seconds": "20"},
    }
    settings.save(reading.settings)
    assert "beam = 4 # wide" in file.read_text()


@pytest.mark.parametrize("text", ["options = 3", "[options]\nbeam = 4", "[options.parakeet-mlx]\nbeam = [4]"])
def test_settings_of_the_wrong_form(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEEDTEST_CONFIG_DIR", str(tmp_path))
    (tmp_path / "config.toml").write_text(text)
    reading = settings.load()
    assert reading.settings.options == {}
    assert "options should " in reading.problems[0]


def test_a_child_is_told() -> None:
    told = assign(PARAKEET.reference, ModelSpec("hub", "a/b"), Location(None), 3, chosen=(("beam", "4"),))
    assert told.load_options["chosen"] == (("beam", "4"),)
