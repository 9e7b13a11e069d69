"""A model is complete exactly where its library loads it: shards, other formats of weights, damaged settings.

transformers itself says what is right, for each change of the built-in model's folder, in one child process.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from caches import TOKENIZER, hub_cache, plain_folder, safetensors
from racing import TESTS

from backends.base import LoadOptions, Location, ModelSpec, TranscribeOptions
from backends.catalogue import TRANSFORMERS
from speedtest_tui.core.models.examine import examine
from speedtest_tui.core.models.inspect import locate
from speedtest_tui.core.models.remembered import fingerprint
from speedtest_tui.core.models.wanted import wanted

SPEC = ModelSpec("hub", "org/name", TRANSFORMERS["tiny"].files)
LAST = "model-00002-of-00002.safetensors"
INDEX, SECOND = "model.safetensors.index.json", "model-00002-of-00003.safetensors"
Change = Callable[[Path], object]


def edited(name: str, change: Callable[[bytes], bytes]) -> Change:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def index(change: Callable[[dict[str, Any]], object], name: str = INDEX) -> Change:
    def edit(folder: Path) -> None:
        found = json.loads((folder / name).read_text())
        change(found)
        (folder / name).write_text(json.dumps(found))

    return edit


def sharded(*more: Change, binary: bool = False) -> Change:
    """The weights in two files and an index, as transformers' save_pretrained or torch.save leaves them."""

    def make(folder: Path) -> None:
        import torch
        from transformers import WhisperForConditionalGeneration

        model: Any = WhisperForConditionalGeneration.from_pretrained(folder)
        (folder / "model.safetensors").unlink()
        if not binary:
            total = sum(one.numel() * one.element_size() for one in model.state_dict().values())
            model.save_pretrained(folder, max_shard_size=total // 3)
            assert len(list(folder.glob("model-*"))) == 2
        else:
            numbers = {name: value.clone() for name, value in model.state_dict().items() if name != "proj_out.weight"}
            where = {name: f"pytorch_model-0000{1 + at % 2}-of-00002.bin" for at, name in enumerate(numbers)}
            for shard in set(where.values()):
                torch.save({name: numbers[name] for name in numbers if where[name] == shard}, folder / shard)
            found = {"metadata": {"total_size": 1}, "weight_map": where}
            (folder / "pytorch_model.bin.index.json").write_text(json.dumps(found))
        for change in more:
            change(folder)

    return make


def single_bin(folder: Path) -> None:
    import torch
    from transformers import WhisperForConditionalGeneration

    model: Any = WhisperForConditionalGeneration.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    numbers = {name: value.clone() for name, value in model.state_dict().items() if name != "proj_out.weight"}
    torch.save(numbers, folder / "pytorch_model.bin")


def vocabulary(*, merges: bool) -> Change:
    def split(folder: Path) -> None:
        model = json.loads((folder / "tokenizer.json").read_text())["model"]
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
        if merges:
            pairs = (pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"])
            (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(pairs))

    return split


def below(folder: Path) -> None:
    (folder / "shards").mkdir()
    for shard in folder.glob("model-*"):
        shard.rename(folder / "shards" / shard.name)
    index(lambda found: found.update(weight_map={k: f"shards/{v}" for k, v in found["weight_map"].items()}))(folder)


def begun(text: bytes) -> Callable[[bytes], bytes]:
    return lambda data: b"{" + text + b"," + data.strip()[1:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "mark": lambda data: b"\xef\xbb\xbf" + data,
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "list": lambda data: b"[" + data + b"]",
    "null": lambda _: b"null",
    "NaN": begun(b'"x": NaN'),
    "cut": lambda data: data[:-5],
    "nothing": lambda _: b"",
}


def without(key: str) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        found = json.loads(data)
        found.pop(key, None)
        return json.dumps(found).encode()

    return change


def setting(key: str, value: object) -> Callable[[bytes], bytes]:
    return lambda data: json.dumps(json.loads(data) | {key: value}).encode()


FILES = ("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json")
CHANGES: dict[str, Change] = {
    "whole": lambda _: None,
    **{f"{damage} {name}": edited(name, DAMAGES[damage]) for name in FILES for damage in DAMAGES},
    "twice config.json": edited("config.json", begun(b'"model_type": "whisper"')),
    "twice tokenizer.json": edited("tokenizer.json", begun(b'"version": "1.0"')),
    "mark special_tokens_map.json": edited("special_tokens_map.json", DAMAGES["mark"]),
    "mark added_tokens.json": lambda folder: (folder / "added_tokens.json").write_bytes(b"\xef\xbb\xbf{}"),
    "mark processor_config.json": lambda folder: (folder / "processor_config.json").write_bytes(b"\xef\xbb\xbf{}"),
    **{
        f"empty {name}": edited(name, lambda _: b"{}")
        for name in ("generation_config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json")
    },
    **{
        f"tokenizer without {key}": edited("tokenizer.json", without(key))
        for key in ("version", "model", "pre_tokenizer", "decoder", "added_tokens", "normalizer", "post_processor")
    },
    "a tokenizer's model of nothing": edited("tokenizer.json", setting("model", {})),
    "no tokenizer_config.json": lambda folder: (folder / "tokenizer_config.json").unlink(),
    "vocab.json and merges.txt": vocabulary(merges=True),
    "vocab.json alone": vocabulary(merges=False),
    "shards": sharded(),
    "shards below": sharded(below),
    "shards of pickles": sharded(binary=True),
    "one pickle": single_bin,
    "a shard less": sharded(lambda folder: (folder / LAST).unlink()),
    "a shard cut": sharded(edited(LAST, lambda data: data[:-9])),
    "a pickled shard less": sharded(lambda folder: (folder / "pytorch_model-00002-of-00002.bin").unlink(), binary=True),
    "index without metadata": sharded(index(lambda found: found.pop("metadata"))),
    "index of nothing": sharded(index(lambda found: found["weight_map"].clear())),
    "index with a mark": sharded(edited(INDEX, DAMAGES["mark"])),
    "shards beside a broken link": sharded(lambda folder: (folder / "model.safetensors").symlink_to("nothing")),
}


def main(home: Path, unpacked: Path) -> dict[str, tuple[bool, str, str]]:
    """For each change: whether transformers loads and transcribes it, the state that is said, and why."""
    import numpy as np

    from backends.whisper.transformers import TransformersWhisper

    gc.disable()  # it costs most of the time that large lists of merges take to be read
    told = {}
    hum = np.sin(np.arange(16_000, dtype=np.float32))
    for name, change in CHANGES.items():
        folder = home / "models" / "org--name"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(unpacked, folder)
        change(folder)
        backend = TransformersWhisper()
        try:
            backend.load(SPEC, Location(folder), LoadOptions())
            backend.transcribe(hum, TranscribeOptions())
            loads = True
        except Exception:
            loads = False
        state = examine(SPEC, "local")
        told[name] = loads, state.state, state.detail
    return told


def test_complete_is_what_transformers_loads(places: Path, unpacked: Callable[[str], Path]) -> None:
    pytest.importorskip("transformers")
    command = [sys.executable, __file__, str(places), str(unpacked("hf"))]
    paths = os.pathsep.join(map(str, (TESTS.parent, TESTS, TESTS / "hub")))
    environment = {**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
    child = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr[-2000:]
    told = json.loads(child.stdout.splitlines()[-1])
    assert told.keys() == CHANGES.keys()
    wrong = {name: one for name, one in told.items() if one[0] != (one[1] == "complete")}
    assert wrong == {}
    assert {name for name, one in told.items() if one[0]} >= {"whole", "shards", "shards below", "shards of pickles"}
    assert LAST in told["a shard cut"][2]


def sharded_model(folder: Path, listed: tuple[int, ...], there: tuple[int, ...] = (1, 2, 3)) -> None:
    names = {number: f"model-{number:05}-of-00003.safetensors" for number in (1, 2, 3)}
    weights = {"metadata": {}, "weight_map": {f"t{number}": names[number] for number in listed}}
    settings = dict.fromkeys(FILES, b'{"a": 1}') | {"tokenizer.json": TOKENIZER}
    shards = {names[number]: safetensors(10 + number) for number in there}
    plain_folder(folder, {**settings, INDEX: json.dumps(weights).encode(), **shards})


def test_what_is_said_of_shards(places: Path) -> None:
    folder = places / "models" / "org--name"
    sharded_model(folder, (1, 2, 3))
    state = examine(SPEC, "local")
    assert (state.state, len(state.files)) == ("complete", 9)
    before = fingerprint(SPEC, Location(folder), ())
    (folder / SECOND).write_bytes(safetensors(50))
    assert fingerprint(SPEC, Location(folder), ()) != before
    (folder / SECOND).unlink()
    state = examine(SPEC, "local")
    assert (state.state, [fault.detail for fault in state.faults]) == ("partial", [f"{SECOND} is missing"])
    assert SECOND in str(locate(SPEC))
    sharded_model(folder, (1, 3))
    state = examine(SPEC, "local")
    assert (state.state, state.detail) == ("damaged", f"{SECOND} is not listed in {INDEX}")
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": {"t": "../../etc/x.safetensors"}}))
    assert examine(SPEC, "local").detail == f"{INDEX} names ../../etc/x.safetensors, outside its folder"


def test_shards_are_downloaded_and_found_in_the_hub_layout(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(places / "hub"))
    sharded_model(places / "source", (1, 2, 3))
    files = {path.name: path.read_bytes() for path in (places / "source").iterdir()}
    assert {name for name in files if name.startswith("model")} <= set(wanted(SPEC, files))
    made = hub_cache(places / "hub", "org/name", files)
    assert examine(SPEC, "hf").state == "complete"
    made.file(SECOND).unlink()
    assert "partial" in examine(SPEC, "hf").state


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
