"""A model is complete exactly where its library loads it: shards, other formats of weights, damaged settings.

transformers itself says what is right, for each change of the built-in model's folder, in one child process.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import shutil
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from caches import HF_CONFIG, TOKENIZER, hub_cache, plain_folder, safetensors
from racing import TESTS

from backends.base import LoadOptions, Location, ModelSpec, TranscribeOptions
from backends.catalogue import TRANSFORMERS
from backends.registry import create, entries
from speedtest_tui.core.models import configs
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


def both(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in changes]


def processor(text: bytes) -> Change:
    """Without preprocessor_config.json, which transformers 5 writes into processor_config.json."""

    def change(folder: Path) -> None:
        features = (folder / "preprocessor_config.json").read_bytes()
        (folder / "preprocessor_config.json").unlink()
        (folder / "processor_config.json").write_bytes(text.replace(b"FEATURES", features))

    return change


MLX = {"model_type": "whisper", **dict.fromkeys(configs.MLX_WHISPER, 4)}
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
    **{
        f"config without {key}": edited("config.json", without(key))
        for key in (
            "model_type",
            "d_model",
            "vocab_size",
            "encoder_ffn_dim",
            "max_source_positions",
            "architectures",
            "activation_function",
            "dropout",
            "bos_token_id",
            "transformers_version",
            "num_mel_bins",
        )
    },
    **{
        f"config with {key}={value!r}": edited("config.json", setting(key, value))
        for key, value in (
            ("model_type", "whisperx"),
            ("model_type", None),
            ("model_type", 7),
            ("d_model", None),
            ("d_model", 192),
            ("vocab_size", 51865),
            ("num_mel_bins", 128),
            ("encoder_layers", "2"),
            ("decoder_ffn_dim", 0),
            ("quantization", {"bits": 4}),
            ("torch_dtype", "float16"),
            ("forced_decoder_ids", None),
            ("added", 1),
            ("apply_spec_augment", True),
            ("median_filter_width", 7),
            ("_name_or_path", "distil-whisper/x"),
        )
    },
    "empty config.json": edited("config.json", lambda _: b"{}"),
    "config of a size alone": edited("config.json", lambda _: b'{"vocab_size": 51864}'),
    "config of a type alone": edited("config.json", lambda _: b'{"model_type": "whisper"}'),
    "type alone beside a pickle": both(single_bin, edited("config.json", lambda _: b'{"model_type": "whisper"}')),
    "config of mlx-whisper": edited("config.json", lambda _: json.dumps(MLX).encode()),
    "processor_config.json alone": processor(b'{"processor_class": "WhisperProcessor"}'),
    "processor_config.json of a null": processor(b'{"feature_extractor": null}'),
    "processor_config.json with all": processor(b'{"feature_extractor": FEATURES}'),
    "index with a mark": sharded(edited(INDEX, DAMAGES["mark"])),
    "shards beside a broken link": sharded(lambda folder: (folder / "model.safetensors").symlink_to("nothing")),
}


def at(path: str, value: object) -> Callable[[bytes], bytes]:
    """A setting within settings; without it where the value is `...`."""

    def change(data: bytes) -> bytes:
        found = part = json.loads(data)
        *above, last = path.split(".")
        for step in above:
            part = part[step]
        part.pop(last, None)
        if value is not ...:
            part[last] = value
        return json.dumps(found).encode()

    return change


RNNT = "nemo.collections.asr.models.rnnt_bpe_models.EncDecRNNTBPEModel"
SETTINGS: dict[str, tuple[tuple[str, object], ...]] = {
    "mlx": (
        *((name, ...) for name in (*configs.MLX_WHISPER, "model_type")), ("n_vocab", "51864"), ("n_mels", None),
        ("n_text_layer", []), ("model_type", "other"), ("quantization", None), ("quantization", "4-bit"),
    ),
    "parakeet-nano/mlx": (
        ("target", ...), ("target", "nemo.collections.asr.models.EncDecRNNTBPEModel"), ("target", 7),
        ("model_defaults", ...), ("encoder", ...), ("encoder.d_model", ...), ("encoder.n_layers", None),
        ("encoder.att_context_size", ...), ("decoder.prednet", {}), ("decoder.vocab_size", ...), ("joint", []),
        ("joint.vocabulary", "abc"), ("joint.jointnet.activation", ...), ("decoding.durations", ...),
        ("decoding.greedy", ...), ("preprocessor.normalize", ...), ("preprocessor.dither", ...), ("added", {}),
        ("preprocessor.pad_to", ...), ("sample_rate", ...), ("loss", ...), ("tokenizer", ...), ("spec_augment", ...),
    ),
    "canary-nano/mlx": (
        ("target", RNNT), ("encoder.d_model", ...), ("encoder", {}), ("transf_decoder", ...),
        ("transf_decoder.config_dict.num_layers", ...), ("head.num_classes", "x"), ("prompt_format", ...),
        ("tokenizer", ...), ("decoding", ...), ("added", 1), ("prompt_defaults", ...), ("sample_rate", ...),
    ),
}  # fmt: skip
"""Changes of the config.json of the other libraries' built-in models."""


def told_of(spec: ModelSpec, backend: Callable[[], Any], source: Path, home: Path, changes: dict[str, Change]) -> Told:
    """For each change: whether the library loads and transcribes it, the state that is said, and why."""
    import numpy as np

    told = {}
    hum = np.sin(np.arange(16_000, dtype=np.float32))
    for name, change in changes.items():
        folder = home / "models" / "org--name"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        change(folder)
        made = backend()
        try:
            made.load(spec, Location(folder), LoadOptions())
            made.transcribe(hum, TranscribeOptions())
            loads = True
        except Exception:
            loads = False
        state = examine(spec, "local")
        told[name] = loads, state.state, state.detail
    return told


Told = dict[str, tuple[bool, str, str]]
BACKENDS = {
    "hf": "transformers",
    "mlx": "mlx-whisper",
    "parakeet-nano/mlx": "parakeet-mlx",
    "canary-nano/mlx": "canary-mlx",
}


def main(layout: str, home: Path, unpacked: Path) -> Told:
    gc.disable()  # it costs most of the time that large lists of merges take to be read
    entry = next(one for one in entries() if one.name == BACKENDS[layout])
    files = create(entry.reference).model("nano").files
    changes = (
        CHANGES
        if layout == "hf"
        else {
            "whole": lambda _: None,
            "empty": edited("config.json", lambda _: b"{}"),
            **{f"{path}={value!r}": edited("config.json", at(path, value)) for path, value in SETTINGS[layout]},
        }
    )
    return told_of(ModelSpec("hub", "org/name", files), lambda: create(entry.reference), unpacked, home, changes)


@pytest.mark.parametrize("layout", BACKENDS)
def test_complete_is_what_the_library_loads(layout: str, places: Path, unpacked: Callable[[str], Path]) -> None:
    pytest.importorskip("transformers" if layout == "hf" else "mlx.core")
    command = [sys.executable, __file__, layout, str(places), str(unpacked(layout))]
    paths = os.pathsep.join(map(str, (TESTS.parent, TESTS, TESTS / "hub")))
    environment = {**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
    child = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr[-2000:]
    told: Told = json.loads(child.stdout.splitlines()[-1])
    wrong = {name: one for name, one in told.items() if one[0] != (one[1] == "complete")}
    assert wrong == {}
    assert told["whole"][0] and len(told) > 13
    if layout == "hf":
        assert {name for name, one in told.items() if one[0]} >= {"shards", "shards below", "shards of pickles"}
        assert LAST in told["a shard cut"][2]


def test_settings_that_load_and_give_noise_are_of_another_model(places: Path, unpacked: Callable[[str], Path]) -> None:
    """transformers fills layers that the weights lack with random numbers, and drops those that it was not told of."""
    folder = places / "models" / "org--name"
    shutil.copytree(unpacked("hf"), folder)
    for layers in (1, 3):
        edited("config.json", setting("encoder_layers", layers))(folder)
        assert examine(SPEC, "local").detail == f"config.json {configs.ANOTHER}"


@pytest.mark.parametrize("kind", ["TDT", "RNNT", "CTC", "TDT_CTC"])
def test_what_parakeet_requires_is_what_its_dataclasses_do(kind: str) -> None:
    parakeet = pytest.importorskip("parakeet_mlx.parakeet")

    def required(of: Any, above: str = "") -> set[str]:
        found = set()
        for name, one in typing.get_type_hints(of).items():
            field = of.__dataclass_fields__[name]
            if dataclasses.is_dataclass(one):
                found |= required(one, f"{above}{name}.")
            elif field.default is field.default_factory is dataclasses.MISSING and name != "greedy":
                found.add(f"{above}{name}")
        return found

    arguments = getattr(parakeet, f"Parakeet{kind.replace('_', '')}Args")
    target = {"TDT_CTC": "Hybrid", "CTC": "EncDecCTC"}.get(kind, "EncDecRNNT")
    sections = next(sections for name, sections in configs.PARAKEET.items() if target in name)
    asked = {
        f"{'decoder' if section == 'ctc' else section}.{name}"
        for section in sections
        for name in configs.PARAKEET_SECTIONS[section].split()
    }
    asked |= {f"decoding.{name}" for name in configs._TDT.split()} if "TDT" in kind else set()
    assert asked == required(arguments)


def sharded_model(folder: Path, listed: tuple[int, ...], there: tuple[int, ...] = (1, 2, 3)) -> None:
    names = {number: f"model-{number:05}-of-00003.safetensors" for number in (1, 2, 3)}
    weights = {"metadata": {}, "weight_map": {f"t{number}": names[number] for number in listed}}
    settings = dict.fromkeys(FILES, b'{"a": 1}') | {"config.json": HF_CONFIG, "tokenizer.json": TOKENIZER}
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
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
