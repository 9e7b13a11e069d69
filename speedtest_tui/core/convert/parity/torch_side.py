"""The source weights in PyTorch, one layer in memory at a time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from speedtest_tui.core.convert.checkpoint import Checkpoint
from speedtest_tui.core.convert.parity import conformer, heads
from speedtest_tui.core.convert.parity.stages import ENCODER, Inputs, head_name
from speedtest_tui.core.convert.recipe import Recipe

if TYPE_CHECKING:
    from speedtest_tui.core.convert.parity.stages import Outputs


def run(recipe: Recipe, checkpoint: Checkpoint, inputs: Inputs) -> Outputs:
    """Compute every stage in float32. Raises UserError, OSError."""
    import torch

    # It runs beside the writing, which has a core of its own.
    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))

    def weights(name: str) -> Any:
        return torch.from_numpy(checkpoint.read(name))

    with torch.inference_mode():
        states = conformer.encoder(weights, recipe.encoder, torch.from_numpy(inputs.mel))
        found = {ENCODER: states.numpy()}
        if recipe.ctc_labels:
            prefix = "ctc_decoder" if recipe.transducer else "decoder"
            found[head_name("ctc")] = heads.ctc(weights, prefix, states).numpy()
        if recipe.transducer:
            labels, durations = heads.transducer(weights, recipe.transducer, states, inputs.labels)
            found[head_name("joint")] = labels.numpy()
            if recipe.transducer.durations:
                found[head_name("durations")] = durations.numpy()
        if recipe.decoder:
            decoder = heads.canary(weights, recipe.decoder, recipe.encoder.width, states, inputs.ids)
            found[head_name("decoder")] = decoder.numpy()
    return found
