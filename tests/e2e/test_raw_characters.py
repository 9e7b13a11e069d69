"""Nothing raw from outside reaches a terminal: what others wrote is in every text of every surface."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from documents import build, failed_row, good_row
from poison import ARGUMENT, NAME, PAYLOAD, on_a_terminal, poisoned, poisoned_json, raw, session
from racing import TESTS, python_path
from test_surroundings import surrounded
from toys.poisoned import KINDS

from speedtest_tui.core.audio.spool import Facts
from speedtest_tui.core.codec import encode, plain
from speedtest_tui.core.convert.report import Report
from speedtest_tui.core.format import neutral
from speedtest_tui.core.repair.journal import Change, Journal
from speedtest_tui.core.sessions import export, store

Walk = Callable[[Iterable[Sequence[str]]], list[str]]

ONE_LINE = re.sub("[\r\x85\u2028=\udcff]", "", ARGUMENT)
"""The payload in a list with a line for each name."""

BACKENDS = ",".join(f"{kind.__name__} {ONE_LINE}" for kind in KINDS)


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a home in which everything is the test's."""
    return {
        "HOME": str(tmp_path), "SPEEDTEST_DATA_DIR": str(tmp_path / "data"), "HF_HUB_OFFLINE": "1",
        "SPEEDTEST_MODELS_DIR": str(tmp_path / "models"), "SPEEDTEST_CONFIG_DIR": str(tmp_path / "config"),
        "PYTHONPATH": python_path(TESTS / "sound"), "SOUND_DEVICE": ARGUMENT, "SOUND_SPEED": "9",
    }  # fmt: skip


@pytest.fixture
def walk(home: dict[str, str]) -> Walk:
    """Runs commands on terminals; fails where anything raw reaches one. Returns what they wrote."""

    def run(commands: Iterable[Sequence[str]]) -> list[str]:
        cases = [([*arguments], "terminal", None) for arguments in commands]
        outputs = [output for _, output, _ in surrounded(cases, Path(home["HOME"]), COLUMNS="100", **home)]
        for (arguments, *_), output in zip(cases, outputs, strict=True):
            assert not raw(output), (arguments, output)
            assert "Traceback" not in output, output
        return outputs

    return run


@pytest.fixture
def strangers(tmp_path: Path, home: dict[str, str]) -> None:
    """A package of poisoned backends."""
    package = tmp_path / "site" / "poison-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {ONE_LINE}\nVersion: {ONE_LINE}\n", "utf-8")
    points = [f"{kind.__name__} {ONE_LINE} = toys.poisoned:{kind.__name__}" for kind in KINDS]
    (package / "entry_points.txt").write_text("\n".join(["[speedtest_tui.backends]", *points, ""]), "utf-8")
    home["PYTHONPATH"] = python_path(TESTS, TESTS / "sound", package.parent)


@pytest.mark.usefixtures("strangers")
def test_backends(walk: Walk) -> None:
    """Every field of every message of a race's child, and what is made of it: tables, sessions, exports."""
    race = ("run", "--demo", "--backends", BACKENDS, "--runs", "1", "--warmup", "1")
    options = (f"Talks {ONE_LINE}.{ARGUMENT}={ARGUMENT}", f"{ARGUMENT}={ARGUMENT}")
    raced, *_ = walk([race, *((*race, "--option", option) for option in options)])
    assert raced.count("zq") > 2 * len(KINDS)
    walk([
        ("doctor",), ("doctor", "--json"), ("check-models", "--backends", BACKENDS),
        ("check-models", "--backends", BACKENDS, "--json"), ("check-models", "--backends", BACKENDS, "--verify"),
        ("download", "--backends", BACKENDS), ("sessions", "list"), ("sessions", "show", "last"),
        *(("sessions", "export", "last", form, "-") for form in ("--json", "--csv", "--markdown")),
    ])  # fmt: skip


def test_sessions_of_strangers(walk: Walk, home: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from documents import clip

    monkeypatch.setenv("SPEEDTEST_DATA_DIR", home["SPEEDTEST_DATA_DIR"])
    for _ in range(2):
        store.save(session(), clip())
    damaged = Path(home["SPEEDTEST_DATA_DIR"]) / "sessions" / f"2026{NAME}"
    damaged.mkdir()
    (damaged / "session.json").write_bytes(encode({"schema": PAYLOAD}))
    walk([
        ("sessions", "list"), ("sessions", "show", "last"), ("sessions", "compare", "last"),
        ("sessions", "show", "last", "--json"), ("sessions", "list", "--json"), ("sessions", "show", ARGUMENT),
        *(("sessions", "export", "last", form, "-") for form in ("--json", "--csv", "--markdown")),
    ])  # fmt: skip


ECHOED = [
    *((option, ARGUMENT) for option in ("--audio", "--size", "--backends", "--runs", "--option", f"--{ARGUMENT}")),
    *(("run", "--demo", option, ARGUMENT) for option in ("--backends", "--size", "--option", "--runs", "--order",
                                                          "--language", "--track", "--timeout")),
    (ARGUMENT,), ("run", ARGUMENT), ("run", "--demo", "--reference", f"@{ARGUMENT}"), ("run", f"http://{ARGUMENT}"),
    *(("run", "--demo", form, f"/nowhere/{ARGUMENT}") for form in ("--json", "--csv", "--markdown")),
    ("check-models", "--backends", ARGUMENT), ("check-models", "--size", ARGUMENT), ("download", "--size", ARGUMENT),
    ("download", "--to", ARGUMENT), ("repair", "--undo", ARGUMENT), ("repair", "--copy", ARGUMENT),
    ("convert", ARGUMENT, "out"), ("convert", "a.nemo", ARGUMENT), ("record", f"/nowhere/{ARGUMENT}.wav"),
    ("record", ARGUMENT), ("record", "a.wav", "--device", ARGUMENT), ("serve", "--port", ARGUMENT),
    ("serve", "--host", ARGUMENT), ("doctor", ARGUMENT), ("sessions", ARGUMENT), ("sessions", "export", ARGUMENT),
]  # fmt: skip


def test_arguments_that_are_echoed(walk: Walk) -> None:
    assert sum("qz" in output for output in walk(ECHOED)) > len(ECHOED) * 0.8


SOURCES = [path for folder in ("speedtest_tui", "backends") for path in (TESTS.parent / folder).rglob("*.py")]
NAMED = re.compile(r'"((?:HF|HUGGINGFACE|XDG|SPEEDTEST|LC|TERM)_[A-Z_]+)"')
OTHERS = {"HOME", "TZ", "LANG", "HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "TMPDIR", "NO_COLOR"}
VARIABLES = sorted({name for path in SOURCES for name in NAMED.findall(path.read_text("utf-8"))} | OTHERS)
"""What the program reads of the environment, as its source names it."""


def test_variables(home: dict[str, str]) -> None:
    def run(first: int) -> str:
        odd = dict.fromkeys(VARIABLES[first : first + 3], f"{home['HOME']}/{ARGUMENT}")
        output = on_a_terminal(home["HOME"], "doctor", **(home | odd))
        assert not raw(output), (odd, output)
        return output

    with ThreadPoolExecutor(4) as pool:
        assert sum("qz" in output for output in pool.map(run, range(0, len(VARIABLES), 3))) > 2


def test_what_lies_in_folders(walk: Walk, home: dict[str, str]) -> None:
    """Files and their contents: caches, manifests, refs, conversions, verifications, journals, recordings, settings."""
    place, data = Path(home["HOME"]), Path(home["SPEEDTEST_DATA_DIR"])
    hub, models = place / ".cache" / "huggingface" / "hub", Path(home["SPEEDTEST_MODELS_DIR"])
    repository, converted = hub / "models--org--name", models / "converted" / NAME
    entry = data / "trash" / "20260101-000000-000001-abcd"
    for folder in ("refs", "blobs", f"snapshots/{NAME}", "trees", f"{NAME}2"):
        (repository / folder).mkdir(parents=True)
    for folder in (hub / NAME, hub / ".locks" / NAME, hub / f"models--{NAME}--{NAME}", converted, models / NAME, entry,
                   models / ".speedtest-trash" / NAME, place / "config", data / "recordings"):  # fmt: skip
        folder.mkdir(parents=True)
    commit = "a" * 40
    manifest = {"format_version": 1, "files": {name: {"size": 3, "blob_id": name} for name in (PAYLOAD, NAME, "a")}}
    (repository / "refs" / "main").write_text(ARGUMENT, errors="surrogateescape")
    (repository / "refs" / NAME).write_text(commit)
    for file in (f"snapshots/{NAME}/{NAME}", f"blobs/{NAME}", f"blobs/{NAME}.incomplete", f"trees/{NAME}.json", NAME):
        (repository / file).write_text("x")
    (repository / "snapshots" / commit).mkdir()
    (repository / "snapshots" / commit / NAME).symlink_to(f"../../blobs/{NAME}2")
    (repository / "trees" / f"{commit}.json").write_bytes(encode(manifest))
    (hub / ".locks" / NAME / f"{NAME}.lock").touch()
    (models / f"{NAME}.pt").write_text("x")
    (converted / "conversion.json").write_bytes(encode(poisoned(Report)))
    (converted / "config.json").write_bytes(encode({"target": PAYLOAD, PAYLOAD: PAYLOAD}))
    (converted / "model.safetensors").write_bytes(b"\x40\0\0\0\0\0\0\0" + ARGUMENT.encode("utf-8", "surrogateescape"))
    change = Change(1, models / "x", models, "0001-x", through="/")
    journal = poisoned_json(Journal, plain(Journal(1, "a", "2026-01-01T00:00:00+00:00", changes=(change,))))
    (entry / "journal.json").write_bytes(encode(journal))
    (entry.with_name(NAME)).mkdir()
    (entry.with_name(NAME) / "journal.json").write_bytes(encode({PAYLOAD: PAYLOAD}))
    facts = poisoned_json(Facts, plain(Facts(16_000.0, 1, "mic", "api", reason="why")))
    (data / "recordings" / f"2026{NAME}.json").write_bytes(encode({"schema": 1, **facts}))
    (data / "recordings" / f"2026{NAME}.f32").write_bytes(bytes(64_000))
    for name in ("verifications.json", "checksums.json"):
        (data / name).write_bytes(encode({"schema": 1, "results": {PAYLOAD: {"message": PAYLOAD}}}))
    (place / "config" / "config.toml").write_text(f"theme = {json.dumps(ONE_LINE)}\n{json.dumps(ONE_LINE)} = 1\n")
    walk([
        ("check-models", "--all"), ("check-models", "--all", "--json"), ("check-models", "--all", "--checksum"),
        ("check-models", "--size", f"converted/{NAME}"), ("check-models", "--size", str(converted)),
        ("run", "--demo", "--size", f"converted/{NAME}"), ("run", "--demo", "--size", str(models / NAME)),
        ("repair", "--all"), ("repair", "--all", "--json"), ("repair", "--trash"), ("repair", "--trash", "--json"),
        ("repair", "--undo"), ("record", f"{place}/out.wav", "--recover"), ("doctor",), ("devices",),
        ("devices", "--json"),
    ])  # fmt: skip
    walk([("repair", "--all", "--tidy", "--apply"), ("record", f"{place}/b.wav", "--seconds", "1")])
    walk([("repair", "--trash"), ("repair", "--undo"), ("repair", "--empty-trash")])


def test_checkpoints(walk: Walk, tmp_path: Path) -> None:
    """NeMo's configuration, members and weights; fuzz_nemo changes every field."""
    yaml = pytest.importorskip("yaml")
    pytest.importorskip("torch")
    pytest.importorskip("mlx.core")
    from checkpoints import WEIGHTS, YAML, members, pack

    files = members("tdt")
    settings = yaml.safe_load(files[YAML])
    sources = []
    for name, change in {
        "target": lambda s: s | {"target": ONE_LINE},
        "encoder": lambda s: s | {"encoder": s["encoder"] | {"_target_": ONE_LINE}},
        "labels": lambda s: s | {"joint": s["joint"] | {"vocabulary": [ONE_LINE] * 9}},
        "tokenizer": lambda s: s | {"tokenizer": {"type": "bpe", "model_path": f"nemo:{ONE_LINE}"}},
        "kind": lambda s: s | {"tokenizer": {"type": ONE_LINE}},
        "key": lambda s: s | {"encoder": s["encoder"] | {"n_layers": ONE_LINE}},
    }.items():
        changed = yaml.safe_dump(change(dict(settings)), allow_unicode=False).encode()
        sources.append(pack(tmp_path / f"{name}{NAME}.nemo", files | {YAML: changed}))
    sources.append(pack(tmp_path / f"member{NAME}.nemo", {f"../{NAME}": b"x"} | files))
    sources.append(pack(tmp_path / f"weights{NAME}.nemo", files | {WEIGHTS: NAME.encode("utf-8", "surrogateescape")}))
    outputs = walk([("convert", str(source), str(tmp_path / f"out{NAME}")) for source in sources])
    assert sum("qz" in output for output in outputs) > 6, outputs


def test_files_for_people_and_their_programs() -> None:
    document = session()
    for text in (export.to_csv(document), export.to_markdown(document)):
        assert neutral(text, "?").replace("?\n", "\r\n") == text  # what ends a line of CSV is two characters


SPACES = " ", "\n", "\xa0", "\u3000", "\u200b", "\ufeff", " \t ", "\x00"


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", *(f"{space}=" for space in SPACES), *"＝＋－＠﹦﹢﹣﹫"], ids=ascii
)
def test_no_cell_is_a_formula(start: str) -> None:
    formula = f"{start}cmd|' /C calc'!A0"
    found = export.to_csv(build(good_row("a", (0.2, 0.3), formula), failed_row("b", formula)))
    cells = [cell for line in csv.reader(io.StringIO(found, newline="")) for cell in line if "calc" in cell]
    assert len(cells) == 2 and {cell[0] for cell in cells} == {"'"}


MARKUP = "| `a` <b onclick=x>c</b> **d** _e_ ~~f~~ [g](http://h) ![i](j) &lt; $k$ www.l.org https://m \\| n\n| o |"


@pytest.mark.parametrize("start", ["", "# ", "- ", "+ ", "1. ", "12) ", "> ", "--- ", "=== ", "\n\n", "    "])
def test_no_cell_is_markup(start: str) -> None:
    """The text stays the text in every place of the Markdown that is somebody's."""
    document = session(f"{start}{MARKUP}")
    plain = re.sub(r"\\([!-/:-@\[-`{-~])", "\0", export.to_markdown(document))
    assert not re.search(r"[`<~$&\[]|://|www\.|^ *(?:\d+[.)]|[#+=>-]) *[^\s\w]", re.sub("(?m)^- ", "", plain), re.M)
    lines = [line for line in plain.splitlines() if line.startswith("|")]
    assert len(lines) == 5 and {line.count("|") for line in lines} == {11}
