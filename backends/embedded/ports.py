"""Whisper's weights in the layouts of CTranslate2 and whisper.cpp.

Given OpenAI's base and tiny.en, the bytes are those of the published files (tools/real_weights.py holds them to it).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import nano, tokenizer, whisper

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

CT2_FILES = ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt")
"""What faster-whisper reads; CTranslate2 itself reads all but tokenizer.json."""

GGML_FILES = ("ggml-nano.en.bin",)
"""What whisper.cpp reads: one file."""

DTYPES = ("<f4", "i1", "<i2", "<i4", "<f2")
"""CTranslate2's DataType (include/ctranslate2/types.h) by number; 5 is bfloat16, which numpy lacks."""

CT2_HEADER = (6, "WhisperSpec", 3)
"""Version of the format, kind of the model, revision of the kind."""

GGML_MAGIC = 0x67676D6C
FLOAT32, FLOAT16 = 0, 1
"""ggml's types of tensors; FLOAT16 is also what a file of mostly float16 says of itself."""

GELU = 3
"""ActivationType::GELU of include/ctranslate2/ops/activation.h."""


def ct2_variables(weights: Mapping[str, Array], sizes: Mapping[str, int]) -> dict[str, Array]:
    """OpenAI's parameters as CTranslate2's converter names and joins them (python/ctranslate2/specs/whisper_spec.py).

    Self-attention has query, key and value on top of each other, cross-attention key and value. Keys have no bias in
    Whisper: zeros stand for it. The output layer is an alias of the embedding.
    """
    import numpy as np

    found: dict[str, Array] = {}

    def pair(theirs: str, *names: str, kinds: tuple[str, str] = ("weight", "bias")) -> None:
        bias = [
            weights[f"{n}.bias"] if f"{n}.bias" in weights else np.zeros_like(weights[f"{n}.weight"][:, 0])
            for n in names
        ]
        found[f"{theirs}/{kinds[0]}"] = np.concatenate([weights[f"{name}.weight"] for name in names])
        found[f"{theirs}/{kinds[1]}"] = np.concatenate(bias)

    def norm(theirs: str, name: str) -> None:
        pair(f"{theirs}/layer_norm", name, kinds=("gamma", "beta"))

    for side, kind in (("encoder", "audio"), ("decoder", "text")):
        found[f"{side}/position_encodings/encodings"] = weights[f"{side}.positional_embedding"]
        found[f"{side}/num_heads"] = np.array(sizes[f"n_{kind}_head"], np.int16)
        for index in range(sizes[f"n_{kind}_layer"]):
            ours, theirs = f"{side}.blocks.{index}", f"{side}/layer_{index}"
            norm(f"{theirs}/ffn", f"{ours}.mlp_ln")
            pair(f"{theirs}/ffn/linear_0", f"{ours}.mlp.0")
            pair(f"{theirs}/ffn/linear_1", f"{ours}.mlp.2")
            norm(f"{theirs}/self_attention", f"{ours}.attn_ln")
            pair(f"{theirs}/self_attention/linear_0", *(f"{ours}.attn.{part}" for part in ("query", "key", "value")))
            pair(f"{theirs}/self_attention/linear_1", f"{ours}.attn.out")
            if side == "decoder":
                norm(f"{theirs}/attention", f"{ours}.cross_attn_ln")
                for number, parts in enumerate((("query",), ("key", "value"), ("out",))):
                    pair(f"{theirs}/attention/linear_{number}", *(f"{ours}.cross_attn.{part}" for part in parts))
    norm("encoder", "encoder.ln_post")
    norm("decoder", "decoder.ln")
    pair("encoder/conv1", "encoder.conv1")
    pair("encoder/conv2", "encoder.conv2")
    found["decoder/embeddings/weight"] = weights[nano.EMBEDDING]
    flags = {"activation": GELU, "alibi": 0, "pre_norm": 1, "scale_embeddings": 0, "start_from_zero_embedding": 0}
    found |= {f"decoder/{name}": np.array(value, np.int8) for name, value in flags.items()}
    return found | {f"decoder/alignment_{name}": np.array(n, np.int16) for name, n in (("heads", 1), ("layer", -1))}


def ct2_model(weights: Mapping[str, Array], sizes: Mapping[str, int]) -> Iterator[bytes]:
    """The parts of `model.bin` (`_serialize` of python/ctranslate2/specs/model_spec.py), little-endian."""

    def string(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    variables = ct2_variables(weights, sizes)
    version, kind, revision = CT2_HEADER
    yield struct.pack("<I", version) + string(kind) + struct.pack("<II", revision, len(variables))
    for name, value in sorted(variables.items()):
        shape = struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
        yield string(name) + shape + struct.pack("<BI", DTYPES.index(value.dtype.str.replace("|", "")), value.nbytes)
        yield value.tobytes()
    yield struct.pack("<I", 1) + string("decoder/projection/weight") + string("decoder/embeddings/weight")


def write_ct2(folder: Path) -> tuple[str, ...]:
    """Write `CT2_FILES` into `folder`. Raises OSError, ImportError without lzma."""
    languages = [tokenizer.START + 1 + number for number in range(len(tokenizer.LANGUAGES.split()))]
    config = {
        "alignment_heads": whisper.generation_config()["alignment_heads"],
        "lang_ids": languages,
        "suppress_ids": list(whisper.SUPPRESSED),
        "suppress_ids_begin": list(whisper.BEGIN_SUPPRESSED),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    text = tokenizer.tokenizer_json()
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    words = json.loads(text)["model"]["vocab"]
    tokens = [
        *(word for word in words if word != "<|endoftext|>"),
        *tokenizer.special_tokens(),
        *tokenizer.timestamps(),
    ]
    (folder / "vocabulary.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    with (folder / "model.bin").open("wb") as file:
        file.writelines(ct2_model(nano.expand(), nano.dims()))
    return CT2_FILES


def mel_filters(count: int) -> NDArray[np.float32]:
    """Slaney's triangles over the 201 bins of a 400-point transform at 16 kHz, shape (count, 201), as librosa's."""
    import numpy as np

    top = 15 + np.log(8000 / 1000) / (np.log(6.4) / 27)
    mels = np.linspace(0, top, count + 2)
    corners = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))
    ramps = corners[:, None] - np.linspace(0, 8000, 201)[None]
    widths = np.diff(corners)[:, None]
    triangles = np.maximum(0, np.minimum(-ramps[:-2] / widths[:-1], ramps[2:] / widths[1:])).astype(np.float32)
    # Zeros of numpy may be negative; those of the published files are not.
    scaled = (triangles * (2 / (corners[2:] - corners[:-2]))[:, None]).astype(np.float32) + np.float32(0)
    found: NDArray[np.float32] = scaled
    return found


def ggml_model(weights: Mapping[str, Array], sizes: Mapping[str, int], words: Sequence[bytes]) -> Iterator[bytes]:
    """The parts of a file of whisper.cpp (its models/convert-pt-to-ggml.py): float16 matrices, all else float32.

    weights: in the order of OpenAI's checkpoint
    words: the text tokens by number; with the end of text where the model knows English only
    """

    def numbers(*values: int) -> bytes:
        return struct.pack(f"<{len(values)}i", *values)

    filters = mel_filters(sizes["n_mels"])
    kinds = [f"n_{kind}_{what}" for kind in ("audio", "text") for what in ("ctx", "state", "head", "layer")]
    yield numbers(GGML_MAGIC, *(sizes[key] for key in ("n_vocab", *kinds, "n_mels")), FLOAT16, *filters.shape)
    yield filters.tobytes()
    yield numbers(len(words)) + b"".join(numbers(len(word)) + word for word in words)
    for name, value in weights.items():
        array: Any = value.reshape(-1, 1) if name in ("encoder.conv1.bias", "encoder.conv2.bias") else value
        plain = array.ndim < 2 or name.endswith("positional_embedding") or array.shape[-1] == 1
        kind = FLOAT32 if plain else FLOAT16
        yield numbers(array.ndim, len(name), kind, *reversed(array.shape)) + name.encode()
        yield array.astype("<f4" if plain else "<f2").tobytes()


def write_ggml(folder: Path) -> tuple[str, ...]:
    """Write `GGML_FILES` into `folder`. Raises OSError, ImportError without lzma."""
    words = [*tokenizer.ranks(), b"<|endoftext|>"]
    with (folder / GGML_FILES[0]).open("wb") as file:
        file.writelines(ggml_model(dict(sorted(nano.expand().items())), nano.dims(), words))
    return GGML_FILES
