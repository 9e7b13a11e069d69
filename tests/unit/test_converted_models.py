"""Models that are chosen by their folder: which backend reads one, where it is found, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from caches import CANARY_CONFIG, PARAKEET_CONFIG, safetensors

from backends.base import Advice, BackendEntry, Location, ModelSpec
from backends.registry import BUILT_IN
from speedtest_tui.core import locations
from speedtest_tui.core.download.request import request_for
from speedtest_tui.core.locations import converted_folder
from speedtest_tui.core.models import own
from speedtest_tui.core.models import own as converted
from speedtest_tui.core.models.inspect import inspect_models, locate
from speedtest_tui.core.models.scan import scan
from speedtest_tui.core.models.sizes import candidates, resolve
from speedtest_tui.ui.screens.choices import sizes

TDT = json.loads(PARAKEET_CONFIG)
CANARY = json.loads(CANARY_CONFIG) | {
    "tokenizer": {
        "type": "agg",
        "langs": {"en": {"model_path": "nemo:en.model"}, "de": {"model_path": "de.model", "vocab_path": "vocab.txt"}},
    },
    "quantization": {"group_size": 64, "bits": 8},
}
FACTS = {"family": "Parakeet TDT", "dtype": "bfloat16", "bits": None, "parameters": 617_800_000}
PARAKEETS = ["parakeet-mlx", "parakeet-mlx-exact", "parakeet-mlx-stream"]
READERS = {"parakeet-mlx": "backends.parakeet.mlx:ParakeetMlx", "canary-mlx": "backends.canary.mlx:CanaryMlx"}


def model(folder: Path, config: dict[str, Any], *more: str, facts: object = FACTS) -> Path:
    """A folder that looks like a converted model."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(safetensors(bytes(4), ("w",), "F32"))
    (folder / "conversion.json").write_text(json.dumps(facts))
    for name in more:
        (folder / name).write_bytes(b"x")
    return folder


@pytest.fixture(autouse=True)
def home(places: Path) -> Path:
    return places


def specs(size: str) -> dict[str, Any]:
    entries = [BackendEntry(name, reference) for name, reference in READERS.items()]
    found = {one.backend: one.resolved().model for one in candidates(entries, size)}
    return {name: spec for name, spec in found.items() if isinstance(spec, ModelSpec)}


def test_each_family_has_its_backend() -> None:
    model(converted_folder() / "tdt", TDT)
    model(converted_folder() / "canary", CANARY, "en.model", "de.model")
    model(converted_folder() / "other", {"target": "a.b.EncDecDiarLabelModel"})
    assert list(specs("converted/tdt")) == ["parakeet-mlx"]
    assert list(specs("converted/canary")) == ["canary-mlx"]
    assert specs("converted/other") == specs("converted/none") == {}
    spec = specs("converted/canary")["canary-mlx"]
    assert (spec.kind, spec.source, spec.variant) == ("folder", "converted/canary", "8-bit")
    assert [file.names[0] for file in spec.files] == ["config.json", "model.safetensors", "en.model", "de.model"]


def test_any_folder_can_be_named_by_its_path(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model(home / "elsewhere" / "mine", TDT)
    monkeypatch.chdir(home)
    model(converted_folder() / "tdt", TDT)

    def size(text: str) -> str:
        found = resolve((text,), BUILT_IN)
        assert [one.backend for one in found if isinstance(one.model, ModelSpec)] == PARAKEETS
        return found[0].size

    for text in ("./elsewhere/mine", "elsewhere/mine", "elsewhere/mine/", "./elsewhere/../elsewhere/mine", str(folder)):
        assert size(text) == str(folder)
    for text in ("converted/tdt", "tdt", str(converted_folder() / "tdt") + "/"):
        assert size(text) == "converted/tdt"
    found = locate(specs(str(folder))["parakeet-mlx"])
    assert isinstance(found, Location) and found.path == folder


@pytest.mark.parametrize(
    "name", ["converted/", "converted/..", "converted/../tdt", "converted/a/b", "converted/a\\b", "tdt"]
)
def test_names_that_lead_elsewhere_mean_nothing(name: str) -> None:
    model(converted_folder().parent / "tdt", TDT)
    model(converted_folder() / "a" / "b", TDT)
    assert specs(name) == {}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"target": 3}', "\xff"])
def test_a_config_that_is_none_means_nothing(content: str) -> None:
    folder = model(converted_folder() / "odd", TDT)
    (folder / "config.json").write_bytes(content.encode("latin-1"))
    assert specs("converted/odd") == {}


def test_it_is_inspected_and_nobody_downloads_it() -> None:
    model(converted_folder() / "tdt", TDT)
    reports = {report.backend: report for report in inspect_models(candidates(BUILT_IN, "converted/tdt"))}
    report = reports["parakeet-mlx"]
    assert report.usable and report.state("local").state == "complete" and report.spec
    assert report.location and report.location.path == converted_folder() / "tdt"
    assert request_for(report.spec) is None
    assert reports["mlx-whisper"].spec is None


def test_one_with_a_file_missing_says_what_to_do() -> None:
    model(converted_folder() / "canary", CANARY, "en.model")
    found = locate(specs("converted/canary")["canary-mlx"])
    assert isinstance(found, Advice)
    assert "de.model is missing" in found.what and found.what.startswith("converted/canary ")
    assert "convert it again" in found.todo


def test_the_list_of_sizes_offers_what_was_converted(home: Path) -> None:
    assert converted.converted_models() == ()
    model(converted_folder() / "tdt", TDT)
    model(converted_folder() / "eight", TDT, facts={**FACTS, "bits": 8})
    for name, facts in (("damaged", []), ("half", {"family": "x"}), (".hidden", FACTS)):
        model(converted_folder() / name, TDT, facts=facts)
    found = converted.converted_models()
    assert [(one.size, one.form) for one in found] == [("converted/eight", "8-bit"), ("converted/tdt", "bfloat16")]
    offered = {choice.key: choice.detail for choice in sizes(found, present=str(home / "mine"))}
    assert offered["converted/tdt"] == "Parakeet TDT, 618 M parameters as bfloat16"
    assert list(offered)[-1] == str(home / "mine")


def test_on_macos_new_ones_are_with_the_data_and_both_places_are_read(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import platformdirs

    usual = Path(platformdirs.user_cache_dir("speedtest-tui")) / "models"
    both = locations.converted_folders("darwin", usual)
    assert both == (places / "data" / "converted", usual / "converted")
    assert locations.converted_folders("linux", usual) == both[1:]
    assert locations.converted_folders("darwin", places / "models") == (places / "models" / "converted",)
    before = places / "models" / "converted"
    both = (places / "data" / "converted", before)
    monkeypatch.setattr(locations, "converted_folders", lambda: both)
    for folder in both:
        model(folder / f"tdt-{folder.parent.name}", TDT)
    rows = [(row.name, row.layout) for row in scan()]
    assert rows == [("tdt-models", "converted"), ("tdt-data", "converted")]
    for folder in both:
        name = f"converted/tdt-{folder.parent.name}"
        assert own.folder_of(name) == folder / name.removeprefix("converted/")
        assert own.name_of_folder(folder / name.removeprefix("converted/")) == name
    assert own.folder_of("converted/new") == both[0] / "new"
