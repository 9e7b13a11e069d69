"""Which backends there are, and what becomes of one that cannot be made."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from backends.base import BackendError, how_to_install
from backends.registry import BUILT_IN, create, entries


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that registers three backends, one of them under a built-in name."""
    information = tmp_path / "shop-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[speedtest_tui.backends]\nzebra = shop:Zebra\napple = toys.well:Well\nmlx-whisper = shop:Impostor\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_built_in_ones_come_first(distribution: Path) -> None:
    found = entries()
    assert found[: len(BUILT_IN)] == BUILT_IN
    assert [(entry.name, entry.provider) for entry in found[len(BUILT_IN) :]] == [("apple", "shop"), ("zebra", "shop")]


def test_a_third_party_is_created(distribution: Path) -> None:
    reference = next(entry.reference for entry in entries() if entry.name == "apple")
    assert create(reference).summary == "a toy"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("shop:Zebra", "ModuleNotFoundError"),
        ("toys.well:Nobody", "AttributeError"),
        ("toys.well:TEXT", "TypeError"),
        ("toys.faulty:RaisesWhenMade", "OSError: no such device"),
        ("", "ValueError"),
    ],
)
def test_what_cannot_be_made_is_said(reference: str, words: str) -> None:
    with pytest.raises(BackendError) as caught:
        create(reference)
    assert words in caught.value.message
    assert caught.value.kind == "unavailable"
    assert caught.value.hint


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: entry.name)
def test_a_library_that_is_not_installed_has_a_fix(entry: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.base.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    availability = create(entry.reference).availability()  # type: ignore[attr-defined]
    assert not availability.ok
    fixes = (
        how_to_install("pocketsphinx"),
        "pip install 'speedtest-tui[",
        "brew install",
        "build it: ",
        "it runs on macOS",
    )
    assert availability.fix.startswith(fixes)


MAC, LINUX = ("darwin", "arm64", "15.1", ("", "")), ("linux", "x86_64", "", ("glibc", "2.39"))


@pytest.mark.parametrize(
    "case",
    [
        (MAC, 13, "", "mlx", "pip install 'speedtest-tui[mlx]'"),
        (LINUX, 14, "", "mlx", "pip install 'speedtest-tui[mlx]'"),
        (MAC, 13, "pipx_metadata.json", "web", "pipx install --force 'speedtest-tui[web]'"),
        (LINUX, 13, "uv-receipt.toml", "transformers", "uv tool install 'speedtest-tui[transformers]'"),
        (LINUX, 12, "uv-receipt.toml", "pocketsphinx", "use Python 3.11 or 3.13: .* for 3.12"),
        (LINUX, 13, "", "pocketsphinx", "pip install"),
        (("darwin", "arm64", "13.7.1", ("", "")), 13, "", "mlx", "update to macOS 14 .* this is macOS 13.7.1"),
        (("darwin", "arm64", "13.7.1", ("", "")), 13, "", "transformers", "pip install"),
        (("darwin", "x86_64", "14.5", ("", "")), 13, "", "mlx", "needs Apple silicon"),
        (("darwin", "x86_64", "14.5", ("", "")), 13, "", "transformers", "needs Apple silicon"),
        (("linux", "x86_64", "", ("glibc", "2.31")), 11, "", "mlx", "glibc 2.35 or newer, .* this is 2.31"),
        (("linux", "x86_64", "", ("", "")), 11, "", "web", "pip install"),
    ],
)
def test_what_to_do_fits_the_system_and_how_it_was_installed(
    case: tuple[tuple[str, str, str, tuple[str, str]], int, str, str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (name, machine, macos, libc), python, file, extra, said = case
    if file:
        (tmp_path / file).touch()
    monkeypatch.setattr("backends.base.sys", SimpleNamespace(platform=name, version_info=(3, python), prefix=tmp_path))
    facts = {"machine": lambda: machine, "mac_ver": lambda: (macos,), "libc_ver": lambda: libc}
    monkeypatch.setattr("backends.base.platform", SimpleNamespace(**facts))
    assert re.match(re.escape(said) if "'" in said else f".*{said}", how_to_install(extra))
