"""The converted folder in MLX, through the same code that will transcribe with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedtest_tui.core.convert.parity import ENCODER, Inputs, head_name
from speedtest_tui.core.convert.recipe import Recipe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from speedtest_tui.core.convert.parity import Outputs

    Floats = NDArray[np.float32]


def run(recipe: Recipe, folder: Path, inputs: Inputs, exact: bool) -> Outputs:
    """Compute every stage. Raises BackendError where the folder cannot be loaded.

    exact: on the processor, where float32 really is; otherwise on the device that transcribes
    """
    import mlx.core as mx

    if exact:
        mx.set_default_device(mx.cpu)
    return _canary(folder, inputs) if recipe.decoder else _parakeet(recipe, folder, inputs)


def _parakeet(recipe: Recipe, folder: Path, inputs: Inputs) -> Outputs:
    import mlx.core as mx

    from backends.parakeet.mlx import open_folder

    model = open_folder(folder)
    mel = mx.array(inputs.mel).astype(_dtype(model))
    _use_layers_once(model.encoder)
    states, _ = model.encoder(mel[None])
    found = {ENCODER: _plain(states[0])}
    if recipe.ctc_labels:
        head = model.ctc_decoder if recipe.transducer else model.decoder
        found[head_name("ctc")] = _plain(head(states)[0])
    if sizes := recipe.transducer:
        outputs = model.joint(states, _predicted(model.decoder, inputs.labels).astype(states.dtype))[0].astype(
            mx.float32
        )
        count = sizes.labels + 1
        found[head_name("joint")] = _plain(_log_softmax(outputs[..., :count]))
        if sizes.durations:
            found[head_name("durations")] = _plain(_log_softmax(outputs[..., count:]))
    return found


def _predicted(predictor: Any, labels: Sequence[int]) -> Any:
    """Predictor output (1, len(labels) + 1, hidden), one label at a time: the library's LSTM is made for no more."""
    import mlx.core as mx

    out, state = predictor(None, None)
    found = [out]
    for label in labels:
        out, state = predictor(mx.array([[label]]), state)
        found.append(out)
    return mx.concatenate(found, axis=1)


def _canary(folder: Path, inputs: Inputs) -> Outputs:
    import mlx.core as mx

    from backends.canary.load import open_folder

    model = open_folder(folder).model
    mel = mx.array(inputs.mel).astype(_dtype(model))
    caches = model.caches()
    for part in (model.encoder, model.transf_decoder.decoder):
        _use_layers_once(part)
    states, _ = model.encoder(mel[None])
    heard = model.encoder_decoder_proj(states) if "encoder_decoder_proj" in model else states
    logits = model.step(mx.array([list(inputs.ids)]), heard, caches)[0]
    return {ENCODER: _plain(states[0]), head_name("decoder"): _plain(_log_softmax(logits))}


def _use_layers_once(model: Any) -> None:
    """Let every layer give its weights back when it has computed.

    They are read when they are needed, so that there is never more than one layer of them in memory, and the next layer
    gets the same memory again.
    """
    import mlx.core as mx
    from mlx import nn

    class Once(nn.Module):  # type: ignore[misc]
        def __init__(self, layer: Any) -> None:
            super().__init__()
            self.layer = layer

        def __call__(self, *arguments: Any, **named: Any) -> Any:
            out = self.layer(*arguments, **named)
            mx.eval(out)
            self.layer = None
            return out

    model.layers = [Once(layer) for layer in model.layers]


def _log_softmax(logits: Any) -> Any:
    import mlx.core as mx

    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def _dtype(model: Any) -> Any:
    """The format in which the encoder computes: that of its first norm, which is never packed."""
    return model.encoder.layers[0].norm_out.weight.dtype


def _plain(value: Any) -> Floats:
    import mlx.core as mx
    import numpy as np

    return np.array(value.astype(mx.float32))
