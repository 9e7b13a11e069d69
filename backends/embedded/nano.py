"""The compact checkpoint, and its expansion to a plain English-only Whisper.

nano.en is a Whisper of 2 + 2 layers and width 96 over a closed vocabulary. Its file leaves out what can be computed:
the encoder's positions, and the embedding rows of the tokens that it never learnt, which are all equal.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Weights = dict[str, NDArray[np.float16]]
    "OpenAI's parameter names and their values."


SOURCE = Path(__file__).with_name("nano.en.safetensors")
"""float16 tensors with OpenAI's names; the metadata holds `dims` and `token_ids`, both JSON."""

EMBEDDING = "decoder.token_embedding.weight"
POSITIONS = "encoder.positional_embedding"

DIMENSIONS = (
    "n_mels",
    "n_audio_ctx",
    "n_audio_state",
    "n_audio_head",
    "n_audio_layer",
    "n_vocab",
    "n_text_ctx",
    "n_text_state",
    "n_text_head",
    "n_text_layer",
)
"""The fields of openai/whisper's ModelDimensions (whisper/model.py), in its order."""


def metadata(path: Path = SOURCE) -> dict[str, str]:
    """Return the metadata of a compact checkpoint. Raises OSError or SafetensorError where it cannot be read."""
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        found: dict[str, str] = file.metadata()
    return found


def dims(path: Path = SOURCE) -> dict[str, int]:
    """Return Whisper's ModelDimensions, exactly those keys, for the expanded model (n_vocab 51,864)."""
    stored = json.loads(metadata(path)["dims"])
    return {name: int(stored[name]) for name in DIMENSIONS}


def token_ids(path: Path = SOURCE) -> list[int]:
    """Return the tokens that have an embedding row of their own, in the order of the rows."""
    return [int(token) for token in json.loads(metadata(path)["token_ids"])]


def sinusoids(length: int, channels: int) -> NDArray[np.float32]:
    """Return Whisper's encoder positions, float32 of shape (length, channels).

    Half sines, half cosines, wavelengths in geometric progression from 2 pi to 10,000 * 2 pi: `sinusoids` of
    openai/whisper, whisper/model.py. `channels` is even.
    """
    import numpy as np

    step = np.log(10_000.0) / (channels // 2 - 1)
    frequencies = np.exp(-step * np.arange(channels // 2))
    angles = np.arange(length)[:, None] * frequencies[None, :]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def expand(path: Path = SOURCE) -> Weights:
    """Return the whole model: OpenAI's parameter names, float16, the shapes that `dims` says.

    The embedding's shape is (n_vocab, n_text_state); tokens without a row of their own share the compact file's last
    row. The model was trained with that row's logit raised by log(number of such tokens), so that all of them together
    have the probability that the single row had then.
    """
    import numpy as np
    from safetensors.numpy import load

    sizes = dims(path)
    weights: Weights = load(path.read_bytes())
    compact = weights[EMBEDDING]
    embedding = np.repeat(compact[-1:], sizes["n_vocab"], axis=0)
    embedding[token_ids(path)] = compact[:-1]
    weights[EMBEDDING] = embedding
    weights[POSITIONS] = sinusoids(sizes["n_audio_ctx"], sizes["n_audio_state"]).astype(np.float16)
    return weights
