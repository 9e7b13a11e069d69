"""What takes part in a race, by its name: BACKEND:MODEL[?option=value], and what people read for it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.base import BackendEntry, Location, ModelSpec
from backends.catalogue import SIZES
from backends.registry import BUILT_IN
from speedtest_tui.cli.dashboard import request
from speedtest_tui.cli.main import build_parser
from speedtest_tui.cli.options import plan_from
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.locations import config_file
from speedtest_tui.core.models.inspect import locate
from speedtest_tui.core.models.sizes import Candidate, cross, every, labels, parse
from speedtest_tui.core.race.plan import MAX_CANDIDATES, Plan
from speedtest_tui.core.settings import Settings


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mlx-whisper:small", "mlx-whisper:small"),
        (" mlx-whisper : small ", "mlx-whisper:small"),
        ("canary-mlx:nano?beam=4", "canary-mlx:nano?beam=4"),
        ("parakeet-mlx:nano?overlap_seconds=5&beam= 2", "parakeet-mlx:nano?beam=2&overlap_seconds=5"),
        ("whisper-mps:tiny.en", "whisper-mps:tiny.en"),
    ],
)
def test_a_name_is_read_as_it_is_written(text: str, name: str) -> None:
    one = parse(text, BUILT_IN)
    assert one.name == name and parse(one.name, BUILT_IN) == one


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no BACKEND:MODEL"), ("small", "is no BACKEND:MODEL"), ("mlx-whisper:", "is no BACKEND:MODEL"),
        (":small", "is no BACKEND:MODEL"), ("mlx-wisper:small", "did you mean mlx-whisper"),
        (r"C:\models\mine", "no backend is called 'C'"), ("mlx-whisper:smal", "did you mean small"),
        ("canary-mlx:tiny", "canary-mlx has no tiny model: choose from nano, large"),
        ("canary-mlx:nano?", "sets nothing with ''"), ("canary-mlx:nano?beam", "sets nothing with 'beam'"),
        ("canary-mlx:nano?beam=", "sets nothing with 'beam='"), ("canary-mlx:nano?beam=4&", "sets nothing with ''"),
        ("canary-mlx:nano?beam=4&beam=5", "sets beam twice"), ("canary-mlx:nano?bean=4", "did you mean beam?"),
        ("canary-mlx:nano?beam=many", "give a whole number"), ("mlx-whisper:nano?beam=4", "has no options to set"),
        ("mlx-whisper:/no/such/folder", "does not exist"),
    ],
)  # fmt: skip
def test_what_is_no_candidate_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UserError, match=r"^[^\n]+$") as refused:
        parse(text, BUILT_IN)
    assert says in str(refused.value)


def test_a_backend_of_another_package_may_have_a_colon_in_its_name() -> None:
    odd = BackendEntry("a:b", BUILT_IN[0].reference)
    one = parse("a:b:nano", [*BUILT_IN, odd])
    assert (one.entry, one.size, one.name) == (odd, "nano", "a:b:nano")
    other = Candidate(odd, "tiny")
    assert labels([one, other]) == labels([one.name, other.name], ["a:b"]) == ("a:b nano", "a:b tiny")


def test_a_value_may_hold_what_separates_options() -> None:
    one = Candidate(BUILT_IN[0], "nano", (("words", "a&b?c%d=e"),))
    assert one.name == "mlx-whisper:nano?words=a%26b%3Fc%25d=e"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a:nano", "b:nano"], ("a", "b")),
        (["a:nano?beam=2"], ("a",)),
        (["a:nano", "a:nano?beam=2", "b:nano"], ("a", "a beam=2", "b")),
        (["a:nano?beam=4", "a:nano?beam=2&n=1"], ("a beam=4", "a beam=2 n=1")),
        (["a:tiny", "a:small", "b:tiny"], ("a tiny", "a small", "b tiny")),
        (["a:org/whisper-x", "a:tiny"], ("a whisper-x", "a tiny")),
        (["a:org/x", "a:other/x", "b:org/x"], ("a org/x", "a other/x", "b x")),
        (["a:converted/mine", "a:/models/what"], ("a mine", "a what")),
        (["a:tiny?n=1", "a:small?n=1"], ("a tiny", "a small")),
        ([], ()),
    ],
)  # fmt: skip
def test_a_label_is_as_short_as_is_clear(names: list[str], expected: tuple[str, ...]) -> None:
    assert labels(names) == expected


def test_a_candidate_named_twice_races_once() -> None:
    twice = parse("mlx-whisper:nano", BUILT_IN), Candidate(BUILT_IN[0], "nano"), parse("mlx-whisper:base", BUILT_IN)
    assert [one.name for one in Plan(twice).candidates] == ["mlx-whisper:nano", "mlx-whisper:base"]


def test_sizes_that_mean_one_model_of_a_backend_are_one_candidate() -> None:
    found = cross(BUILT_IN[:2], ("small", "turbo"))
    assert [one.name for one in found] == ["mlx-whisper:small", "mlx-whisper:turbo", "parakeet-mlx:small"]


def test_there_may_be_too_many() -> None:
    many = tuple(Candidate(BUILT_IN[0], f"org/{number}") for number in range(MAX_CANDIDATES + 1))
    with pytest.raises(UserError, match=f"{MAX_CANDIDATES + 1} candidates"):
        Plan(many)
    assert len(Plan(many[1:]).candidates) == MAX_CANDIDATES


def test_a_folder_may_have_a_question_mark_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "what?beam=4"
    folder.mkdir()
    with pytest.raises(UserError, match="it has no config"):
        parse(f"mlx-whisper:{folder}", BUILT_IN)


def planned(*words: str, settings: Settings | None = None) -> list[str]:
    """The candidates of `run --demo WORDS`."""
    return [one.name for one in plan_from(build_parser().parse_args(["run", "--demo", *words]), settings).candidates]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--model", "mlx-whisper:tiny"], ["mlx-whisper:tiny"]),
        (["--model", "mlx-whisper:tiny", "--model", " mlx-whisper:tiny "], ["mlx-whisper:tiny"]),
        (["--size", "nano, small", "--backends", "mlx-whisper"], ["mlx-whisper:nano", "mlx-whisper:small"]),
        (["--size", "small,,small,", "--backends", "mlx-whisper,mlx-whisper"], ["mlx-whisper:small"]),
        (["--size", "small,turbo", "--backends", "parakeet-mlx"], ["parakeet-mlx:small"]),
        (
            ["--backends", "mlx-whisper", "--model", "canary-mlx:nano", "--option", "canary-mlx.beam=2"],
            ["mlx-whisper:nano", "canary-mlx:nano?beam=2"],
        ),
        (
            ["--option", "canary-mlx.beam=2", "--model", "canary-mlx:nano", "--model", "canary-mlx:nano?beam=3"],
            ["canary-mlx:nano?beam=2", "canary-mlx:nano?beam=3"],
        ),
    ],
)
def test_the_command_line_takes_a_cross_product_and_single_ones(words: list[str], names: list[str]) -> None:
    assert planned(*words) == names


def test_what_is_remembered_races_unless_something_is_typed() -> None:
    kept = Settings(candidates=("canary-mlx:nano?beam=2", "mlx-whisper:tiny"), backends=("parakeet-mlx",), size="tiny")
    assert planned(settings=kept) == list(kept.candidates)
    assert planned("--size", "nano", settings=kept) == ["parakeet-mlx:nano"]
    assert planned("--model", "canary-mlx:nano", settings=kept) == ["canary-mlx:nano"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--size", ","], "--size ',' names no size"), (["--size", "smal"], "did you mean small"),
        (["--size", "small,smal"], "did you mean small"), (["--model", "tiny"], "'tiny' is no BACKEND:MODEL"),
        (["--backends", ","], "no backend chosen"),
    ],
)  # fmt: skip
def test_what_names_nothing_is_refused(words: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        planned(*words)


LAYOUTS = {
    "nano/mlx": "mlx-whisper", "nano/hf": "transformers", "nano/openai": "whisper-mps",
    "parakeet-nano/mlx": "parakeet-mlx", "canary-nano/mlx": "canary-mlx",
}  # fmt: skip
"""What is built in, and who reads it."""


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("backend", sorted(LAYOUTS.values()))
def test_a_folder_is_read_by_whose_layout_it_is(layout: str, backend: str, unpacked: Callable[[str], Path]) -> None:
    folder = unpacked(layout)
    if backend == LAYOUTS[layout]:
        one = parse(f"{backend}:{folder}", BUILT_IN)
        assert isinstance(one.model, ModelSpec) and (one.size, one.model.kind) == (str(folder), "folder")
        assert isinstance(locate(one.model), Location)
    else:
        with pytest.raises(UserError) as refused:
            parse(f"{backend}:{folder}", BUILT_IN)
        assert str(refused.value).startswith(f"{backend} cannot read {folder} (")
        assert str(refused.value).endswith(f"): {LAYOUTS[layout]}:{folder} can")


def test_a_checkpoint_is_a_model_of_its_own(unpacked: Callable[[str], Path], tmp_path: Path) -> None:
    file = tmp_path / "my own.pt"
    shutil.copy(unpacked("nano/openai") / "nano.en.pt", file)
    one = parse(f"whisper-mps:{file}", BUILT_IN)
    assert isinstance(one.model, ModelSpec) and one.model.files[0].names == ("my own.pt",)
    found = locate(one.model)
    assert isinstance(found, Location) and found.path == file
    with pytest.raises(UserError, match=r"mlx-whisper cannot read .* \(a PyTorch checkpoint\): whisper-mps:"):
        parse(f"mlx-whisper:{file}", BUILT_IN)
    file.write_bytes(b"PK no zip")
    with pytest.raises(UserError, match="whisper-mps cannot read"):
        parse(f"whisper-mps:{file}", BUILT_IN)


def test_a_repository_that_is_here_is_read_by_its_files(hub: Path, unpacked: Callable[[str], Path]) -> None:
    repository = hub / "models--some--whisper"
    shutil.copytree(unpacked("nano/mlx"), repository / "snapshots" / ("c" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("c" * 40)
    one = parse("mlx-whisper:some/whisper", BUILT_IN)
    assert isinstance(one.model, ModelSpec) and (one.model.kind, one.model.source) == ("hub", "some/whisper")
    assert isinstance(locate(one.model), Location) and one.model.english_only
    with pytest.raises(UserError, match=r"transformers cannot read some/whisper \(Whisper for MLX\): mlx-whisper:some"):
        parse("transformers:some/whisper", BUILT_IN)
    assert planned("--size", "some/whisper") == ["mlx-whisper:some/whisper"]


@pytest.mark.usefixtures("hub")
def test_a_repository_that_is_not_here_is_whose_catalogue_has_it() -> None:
    assert planned("--size", "openai/whisper-base") == ["transformers:openai/whisper-base"]
    assert planned("--model", "mlx-whisper:any/thing") == ["mlx-whisper:any/thing"]
    with pytest.raises(UserError, match=r"mlx-whisper cannot read openai/whisper-base .*: transformers:openai/whisper"):
        planned("--model", "mlx-whisper:openai/whisper-base")
    with pytest.raises(UserError, match=r"which backend reads any/thing .*: name it with --backends"):
        planned("--size", "any/thing")


def test_english_only_and_smaller_ones_have_names_of_their_own() -> None:
    whispers = ("mlx-whisper", "whisper-mps", "transformers", "faster-whisper", "whisper-cpp")
    assert planned("--size", "tiny.en") == [f"{backend}:tiny.en" for backend in whispers]
    assert planned("--size", "small,small-4bit,small-fp16", "--backends", "mlx-whisper") == [
        "mlx-whisper:small",
        "mlx-whisper:small-fp16",
    ]


def test_whatever_is_typed_is_read_or_refused_in_one_line(hub: Path) -> None:
    draw = random.Random(20)
    pieces = [
        "mlx-whisper", "canary-mlx", "nano", "tiny.en", "org/name", "/", "~", "~nobody/x", "../", ".", "converted/",
        ":", "::", "?", "?beam=4", "&", "=", "%", "%26", " ", "\0", "\n", "\x1b[31m", "é", "\ud800", "C:\\x", "a" * 300,
    ]  # fmt: skip
    for _ in range(400):
        text = "".join(draw.choice(pieces) for _ in range(draw.randrange(1, 7)))
        try:
            one = parse(text, BUILT_IN)
        except UserError as refused:
            assert "\n" not in str(refused), ascii(text)
        else:
            assert parse(one.name, BUILT_IN).name == one.name, ascii(text)


def test_what_is_remembered_and_is_none_is_named_and_left_out(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEEDTEST_CONFIG_DIR", str(places / "config"))
    config_file().parent.mkdir(parents=True, exist_ok=True)
    for value, says in (
        ("canary-mlx:nano?beam=0", "beam"),
        ("nobody:tiny", "no backend is called 'nobody'"),
        ("x", "is no"),
    ):
        config_file().write_text(f'candidates = ["mlx-whisper:tiny", "{value}"]\n')
        found = request(build_parser().parse_args([]))
        assert any(says in problem for problem in found.reading.problems)
        assert {one.size for one in found.plan.candidates} == {"nano"}
    config_file().write_text('candidates = ["mlx-whisper:tiny", "canary-mlx:nano?beam=2"]\n')
    found = request(build_parser().parse_args([]))
    assert [one.name for one in found.plan.candidates] == ["mlx-whisper:tiny", "canary-mlx:nano?beam=2"]
    assert not found.open_backends and not found.reading.problems


def test_all_sizes_bring_along_what_else_lies_here(hub: Path) -> None:
    assert {one.size for one in every(BUILT_IN)} == set(SIZES)
    for name in ("models--mlx-community--whisper-base.en-mlx", "models--openai--whisper-base.en", "models--any--thing"):
        (hub / name / "snapshots").mkdir(parents=True)
    more = [one.name for one in every(BUILT_IN) if one.size not in SIZES]
    assert more == ["mlx-whisper:base.en", "transformers:base.en"]
