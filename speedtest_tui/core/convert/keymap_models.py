"""The rules of each family. Names on the MLX side are those of parakeet-mlx 0.6, for Canary NeMo's own."""

from __future__ import annotations

from collections.abc import Iterator

from speedtest_tui.core.convert.keymap import Rule, conv1d, conv2d, linear, norm, same, vector
from speedtest_tui.core.convert.recipe import DecoderSizes, EncoderSizes, Recipe, TransducerSizes


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
