"""Where every weight goes: one rule for each parameter of the MLX model, from the sizes alone.

The rules say which NeMo tensors a parameter comes from, what shape those must have and how its axes are turned. They
follow from the kind of layer, never from the shape of what was found: square tensors would otherwise be guesses.

The rules of each family. Names on the MLX side are those of parakeet-mlx 0.6, for Canary NeMo's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from speedtest_tui.core.convert.checkpoint import Checkpoint
from speedtest_tui.core.convert.recipe import DecoderSizes, EncoderSizes, Recipe, TransducerSizes
from speedtest_tui.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


Kind = Literal["vector", "linear", "embedding", "matrix", "conv1d", "conv2d"]
"""linear and embedding are layers that MLX can quantise; a matrix is any other that keeps its axes."""

AXES: dict[str, tuple[int, ...]] = {"conv1d": (0, 2, 1), "conv2d": (0, 2, 3, 1)}
"""torch keeps a convolution as (out, in, ...), MLX as (out, ..., in)."""

SKIPPED = ("preprocessor.featurizer.window", "preprocessor.featurizer.fb")
SKIPPED_ENDS = (".num_batches_tracked", "._embedding.position_embedding.pos_enc")
"""What needs no place in the output: the mel front end and sinusoids are computed, counters matter in training only."""

NAMED = 4
"""How many keys an error names."""


@dataclass(frozen=True)
class Rule:
    """`target` is made of one source, or is the sum of two; `shape` is that of each source."""

    target: str
    sources: tuple[str, ...]
    shape: tuple[int, ...]
    kind: Kind

    @property
    def count(self) -> int:
        """Numbers in the parameter."""
        return math.prod(self.shape)

    @property
    def target_shape(self) -> tuple[int, ...]:
        axes = AXES.get(self.kind)
        return self.shape if axes is None else tuple(self.shape[axis] for axis in axes)


def same(name: str, shape: Sequence[int], kind: Kind) -> Rule:
    """A parameter that keeps its name."""
    return Rule(name, (name,), tuple(shape), kind)


def vector(name: str, size: int) -> Rule:
    return same(name, (size,), "vector")


def linear(name: str, outputs: int, inputs: int, bias: bool = True) -> Iterator[Rule]:
    """A fully connected layer."""
    yield same(f"{name}.weight", (outputs, inputs), "linear")
    if bias:
        yield vector(f"{name}.bias", outputs)


def conv1d(name: str, outputs: int, inputs: int, width: int, bias: bool = True) -> Iterator[Rule]:
    """`inputs`: channels that each output sees, 1 where it is depthwise."""
    yield same(f"{name}.weight", (outputs, inputs, width), "conv1d")
    if bias:
        yield vector(f"{name}.bias", outputs)


def conv2d(name: str, outputs: int, inputs: int, width: int) -> Iterator[Rule]:
    yield same(f"{name}.weight", (outputs, inputs, width, width), "conv2d")
    yield vector(f"{name}.bias", outputs)


def norm(name: str, width: int) -> Iterator[Rule]:
    yield vector(f"{name}.weight", width)
    yield vector(f"{name}.bias", width)


def skipped(name: str) -> bool:
    return name in SKIPPED or name.endswith(SKIPPED_ENDS)


def check(rules: Sequence[Rule], checkpoint: Checkpoint) -> tuple[str, ...]:
    """See that rules and checkpoint match exactly; return the keys that are skipped, sorted.

    Raises UserError that names keys which are missing, unknown, of another shape or no floating-point numbers.
    """
    wanted = {source: rule.shape for rule in rules for source in rule.sources}
    found = checkpoint.tensors
    left_out = tuple(sorted(name for name in found if skipped(name)))
    missing = [name for name in wanted if name not in found]
    if missing:
        raise _keys(f"the checkpoint lacks {_some(missing)}", "its configuration says that they exist")
    unknown = [name for name in found if name not in wanted and not skipped(name)]
    if unknown:
        raise _keys(f"the checkpoint has unknown weights: {_some(unknown)}", "its configuration has no place for them")
    shaped = [
        f"{name} {list(found[name].shape)} instead of {list(shape)}"
        for name, shape in wanted.items()
        if found[name].shape != shape
    ]
    if shaped:
        raise _keys(f"weights of the wrong shape: {_some(shaped)}", "they do not fit its configuration")
    whole = [name for name in wanted if not checkpoint.is_floating(name)]
    if whole:
        raise _keys(f"weights that are no floating-point numbers: {_some(whole)}", "they cannot be converted")
    return left_out


def build(rule: Rule, checkpoint: Checkpoint) -> NDArray[np.float32]:
    """Make one parameter. Raises UserError, OSError."""
    import numpy as np

    value = checkpoint.read(rule.sources[0])
    for other in rule.sources[1:]:
        value = value + checkpoint.read(other)
    if rule.kind in AXES:
        value = np.ascontiguousarray(value.transpose(AXES[rule.kind]))
    return value


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _keys(what: str, why: str) -> UserError:
    return UserError(what, f"{why}; nothing was written")


def rules_of(recipe: Recipe) -> tuple[Rule, ...]:
    """Every parameter of the model that a recipe describes."""
    found = list(encoder(recipe.encoder))
    width = recipe.encoder.width
    if recipe.ctc_labels:
        head = "ctc_decoder" if recipe.transducer else "decoder"
        found += conv1d(f"{head}.decoder_layers.0", recipe.ctc_labels + 1, width, 1)
    if recipe.transducer:
        found += transducer(recipe.transducer, width)
    if recipe.decoder:
        found += canary(recipe.decoder, width)
    return tuple(found)


def encoder(sizes: EncoderSizes) -> Iterator[Rule]:
    """FastConformer: convolutions that thin out the frames, then the layers."""
    channels, width = sizes.channels, sizes.width
    start = "encoder.pre_encode.conv"
    yield from conv2d(f"{start}.0", channels, 1, 3)
    for step in range(1, sizes.halvings):
        # Activations have numbers too: 0 is the first convolution, 1 its ReLU, then depthwise, pointwise, ReLU, ...
        yield from conv2d(f"{start}.{3 * step - 1}", channels, 1, 3)
        yield from conv2d(f"{start}.{3 * step}", channels, channels, 1)
    yield from linear("encoder.pre_encode.out", width, channels * sizes.subsampled_features)
    for number in range(sizes.layers):
        yield from _encoder_layer(f"encoder.layers.{number}", sizes)


def _encoder_layer(layer: str, sizes: EncoderSizes) -> Iterator[Rule]:
    width, biases = sizes.width, sizes.biases
    for part in ("feed_forward1", "feed_forward2"):
        yield from norm(f"{layer}.norm_{part}", width)
        yield from linear(f"{layer}.{part}.linear1", sizes.inner, width, biases)
        yield from linear(f"{layer}.{part}.linear2", width, sizes.inner, biases)
    yield from norm(f"{layer}.norm_self_att", width)
    for name in ("q", "k", "v", "out"):
        yield from linear(f"{layer}.self_attn.linear_{name}", width, width, biases)
    yield from linear(f"{layer}.self_attn.linear_pos", width, width, bias=False)
    for name in ("u", "v"):
        yield same(f"{layer}.self_attn.pos_bias_{name}", (sizes.heads, width // sizes.heads), "matrix")
    yield from norm(f"{layer}.norm_conv", width)
    yield from conv1d(f"{layer}.conv.pointwise_conv1", 2 * width, width, 1, biases)
    yield from conv1d(f"{layer}.conv.depthwise_conv", width, 1, sizes.kernel, biases)
    yield from norm(f"{layer}.conv.batch_norm", width)
    for name in ("running_mean", "running_var"):
        yield vector(f"{layer}.conv.batch_norm.{name}", width)
    yield from conv1d(f"{layer}.conv.pointwise_conv2", width, width, 1, biases)
    yield from norm(f"{layer}.norm_out", width)


def transducer(sizes: TransducerSizes, encoder_width: int) -> Iterator[Rule]:
    """Predictor (an embedding and an LSTM) and joint network."""
    predictor = "decoder.prediction"
    yield same(f"{predictor}.embed.weight", (sizes.labels + 1, sizes.embedded), "embedding")
    for number in range(sizes.lstm_layers):
        source, target = f"{predictor}.dec_rnn.lstm", f"{predictor}.dec_rnn.lstm.{number}"
        inputs = sizes.embedded if number == 0 else sizes.hidden
        gates = 4 * sizes.hidden
        yield Rule(f"{target}.Wx", (f"{source}.weight_ih_l{number}",), (gates, inputs), "matrix")
        yield Rule(f"{target}.Wh", (f"{source}.weight_hh_l{number}",), (gates, sizes.hidden), "matrix")
        # torch adds two biases where MLX has one.
        both = (f"{source}.bias_ih_l{number}", f"{source}.bias_hh_l{number}")
        yield Rule(f"{target}.bias", both, (gates,), "vector")
    yield from linear("joint.pred", sizes.joint, sizes.hidden)
    yield from linear("joint.enc", sizes.joint, encoder_width)
    # parakeet-mlx always counts a dropout between activation and linear layer; NeMo leaves it out where it is zero.
    for rule in linear(f"joint.joint_net.{sizes.linear_index}", sizes.outputs, sizes.joint):
        yield Rule(rule.target.replace(f".{sizes.linear_index}.", ".2."), rule.sources, rule.shape, rule.kind)


def canary(sizes: DecoderSizes, encoder_width: int) -> Iterator[Rule]:
    """Transformer decoder with its head, and the projection between unequal widths."""
    width = sizes.width
    if encoder_width != width:
        yield from linear("encoder_decoder_proj", width, encoder_width)
    embedding, decoder = "transf_decoder._embedding", "transf_decoder._decoder"
    yield same(f"{embedding}.token_embedding.weight", (sizes.rows, width), "embedding")
    if sizes.learnt_positions:
        yield same(f"{embedding}.position_embedding.weight", (sizes.longest, width), "embedding")
    yield from norm(f"{embedding}.layer_norm", width)
    for number in range(sizes.layers):
        layer = f"{decoder}.layers.{number}"
        for part in ("first", "second"):
            for name in ("query_net", "key_net", "value_net", "out_projection"):
                yield from linear(f"{layer}.{part}_sub_layer.{name}", width, width)
        yield from linear(f"{layer}.third_sub_layer.dense_in", sizes.inner, width)
        yield from linear(f"{layer}.third_sub_layer.dense_out", width, sizes.inner)
        for place in (1, 2, 3):
            yield from norm(f"{layer}.layer_norm_{place}", width)
    if sizes.final_norm:
        yield from norm(f"{decoder}.final_layer_norm", width)
    yield from linear("log_softmax.mlp.layer0", sizes.rows, width)
