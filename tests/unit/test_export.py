"""Results as JSON, CSV and Markdown: complete, ordered by rank, and not to be broken by what was said."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from documents import build, clip, edited, failed_row, good_row

from backends.catalogue import openai_checkpoint
from speedtest_tui.core import codec
from speedtest_tui.core.format import precision
from speedtest_tui.core.sessions import export

AWKWARD = 'a | b, "c"; <b>d</b> `e` *f* [g](h)\n\n- i\t\\j 音 😀'

KEYS = {
    "backend", "size", "status", "error", "model", "device", "import_s", "load_s", "first_s", "runs_s", "median_s",
    "ci95_s", "rtfx", "peak_rss_mb", "peak_device_mb", "text", "wer", "warnings",
}  # fmt: skip


def table(markdown: str) -> list[list[str]]:
    """The cells of the first table, unescaped as Markdown readers do."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    cells = []
    for line in lines:
        parts, current, escaped = [], "", False
        for character in line[1:]:
            if escaped:
                current, escaped = current + character, False
            elif character == "\\":
                escaped = True
            elif character == "|":
                parts, current = [*parts, current.strip()], ""
            else:
                current += character
        cells.append(parts)
    return cells


def test_json_has_every_key_of_the_design() -> None:
    document = json.loads(codec.document(build()))
    assert {"schema", "clip", "host", "plan", "results", "verdict"} <= set(document)
    assert {"name", "seconds", "sha256"} <= set(document["clip"])
    assert {"fastest", "significant", "sentence"} <= set(document["verdict"])
    for result in document["results"]:
        assert set(result) >= KEYS
    model = document["results"][0]["model"]
    assert {"source", "revision", "path", "dtype", "bits", "parameters"} <= set(model)
    assert document["results"][2]["error"] == {"kind": "crash", "message": "it broke", "hint": "mend it"}


def test_units() -> None:
    result = build().results[0]
    assert result.peak_rss_mb == 100.0
    assert result.peak_device_mb == 50.0
    assert (result.median_s, result.ci95_s, result.rtfx) == (0.25, (0.2, 0.3), 4.0)


def test_memory_is_the_larger_one_and_each_keeps_its_name() -> None:
    """On macOS the footprint counts and not what is resident; old sessions know of none."""
    row = good_row("a", (0.2, 0.25))
    mac = replace(row, peak_footprint=90_000_000, device_cache=10_000_000, device_limit=17_000_000_000)
    larger = replace(mac, device_peak=300_000_000)
    found = {
        "Linux": (build(row), 100.0),
        "macOS": (build(mac), 90.0),
        "mostly on the GPU": (build(larger), 300.0),
        "of an older version": (edited(build(row), lambda facts: facts["results"][0].pop("peak_footprint_mb")), 100.0),
    }
    assert {name: document.results[0].memory_mb for name, (document, _) in found.items()} == {
        name: shown for name, (_, shown) in found.items()
    }
    assert "| 300 MB |" in export.to_markdown(build(larger))
    (line,) = csv.DictReader(io.StringIO(export.to_csv(build(larger))))
    assert [line[f"peak_{kind}_mb"] for kind in ("rss", "footprint", "device")] == ["100.0", "90.0", "300.0"]
    assert build(mac).results[0].device_cache_mb == 10.0
    assert build(mac).results[0].device_limit_mb == 17_000.0


@pytest.mark.parametrize(
    ("dtype", "bits", "options", "words"),
    [
        ("float32", 32.0, {}, "float32"),
        ("float32", 32.0, {"fp32 matmul": "full"}, "float32"),
        ("float32", 32.0, {"fp32 matmul": "TF32"}, "float32 (TF32)"),
        ("float16", 16.0, {"fp32 matmul": "TF32"}, "float16"),
        ("float16", 4.5, {"fp32 matmul": "TF32"}, "4.5 bits"),
        (None, None, {}, ""),
    ],
)
def test_float32_that_is_none_is_called_so(
    dtype: str | None, bits: float | None, options: dict[str, str], words: str
) -> None:
    assert precision(dtype, bits, options) == words


def test_csv_has_one_line_a_backend_by_rank() -> None:
    rows = list(csv.DictReader(io.StringIO(export.to_csv(build()))))
    assert [(row["backend"], row["rank"], row["status"]) for row in rows] == [
        ("b", "1", "ok"),
        ("a", "2", "ok"),
        ("c", "", "failed"),
    ]
    assert rows[0]["runs_s"] == "0.100000 0.100000 0.120000"
    assert (float(rows[0]["median_s"]), rows[0]["source"], rows[0]["bits"]) == (0.1, "org/b", "4.5")
    assert rows[2]["error"] == "it broke: mend it"
    assert rows[2]["median_s"] == ""


def test_csv_carries_awkward_text_unchanged() -> None:
    document = build(good_row("a", (0.1, 0.2), AWKWARD), failed_row("b", AWKWARD, ""))
    rows = list(csv.DictReader(io.StringIO(export.to_csv(document), newline="")))
    assert (rows[0]["text"], rows[1]["error"]) == (AWKWARD, AWKWARD)


def test_markdown_table() -> None:
    cells = table(export.to_markdown(build()))
    assert {len(row) for row in cells} == {10}
    assert [row[:2] for row in cells[2:]] == [["★1", "b"], ["2", "a"], ["", "c"]]
    assert cells[2][4] == "fastest"
    assert cells[3][4] == "2.5× slower"
    assert cells[4][2] == "failed: it broke: mend it"
    assert cells[2][9] == "org/b 4.5 bits"


def test_markdown_cannot_be_broken_by_text() -> None:
    document = build(
        good_row("a|x", (0.1, 0.2), AWKWARD), failed_row("b", AWKWARD, AWKWARD), of=clip(AWKWARD, warnings=(AWKWARD,))
    )
    markdown = export.to_markdown(document)
    cells = table(markdown)
    assert {len(row) for row in cells} == {10}
    assert cells[2][1] == "a|x"
    assert "<b>" not in markdown
    # The text stays one item of its list, whatever lines it had.
    (item,) = [line for line in markdown.splitlines() if line.startswith("- a\\|x:")]
    assert "😀" in item


def test_markdown_says_what_was_measured_and_where() -> None:
    markdown = export.to_markdown(build(of=clip(warnings=("very quiet",))))
    for words in ("Test chip, 2 cores, 8 GB", "size tiny", "3 runs, interleaved", "very quiet", "ran on a test"):
        assert words in markdown


@pytest.mark.parametrize("render", [codec.document, export.to_csv, export.to_markdown])
def test_half_a_surrogate_pair_can_be_written(render: Any) -> None:
    """A path that is no UTF-8 has them; a file or a terminal takes no such character."""
    text = render(build(good_row("a", (0.1, 0.2), "half \udcff"), of=clip("clip\udcff.wav")))
    assert "half" in text
    text.encode()


def test_no_row_that_ran_at_all() -> None:
    document = build(failed_row("a"), failed_row("b"))
    assert export.to_csv(document).count("\n") == 3
    assert "no backend finished" in export.to_markdown(document)


def test_json_is_strict() -> None:
    """NaN is no JSON: other programs refuse the whole file for it."""
    document = build(good_row("a", (0.1, 0.2)))
    assert not any(math.isnan(run) for run in document.results[0].runs_s)
    json.loads(codec.document(document), parse_constant=pytest.fail)


def test_of_a_url_the_file_is_named() -> None:
    row = good_row("whisper-mps", (0.1, 0.1))
    spec = openai_checkpoint("base")
    assert row.loaded
    found = build(replace(row, spec=spec, loaded=replace(row.loaded, source=spec.source)))
    assert export.weights(found.results[0]).startswith("base.pt ") and "azure" not in export.to_markdown(found)
