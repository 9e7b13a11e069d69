"""The process that looks into a checkpoint: `python -m speedtest_tui.core.convert.preview_child`, an order on stdin.

Events: seen(facts) · failed(message, hint). Before a conversion is started nothing of the file is unpacked or loaded. A
configuration may be long and is somebody else's: parsing it would hold up the screen, and unpacking a compressed
archive must be something that can be ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backends.catalogue import CASTS
from speedtest_tui.core import host
from speedtest_tui.core.convert import config as configuration
from speedtest_tui.core.convert import numbers, tokenizers
from speedtest_tui.core.convert.archive import Archive
from speedtest_tui.core.convert.keymap import Rule, rules_of
from speedtest_tui.core.convert.preview import Form, Preview
from speedtest_tui.core.convert.recipe import Recipe, recipe_of
from speedtest_tui.core.convert.report import reader_of
from speedtest_tui.core.convert.steps import WEIGHTS
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.process.child import Parent, serve

FORMS: tuple[tuple[numbers.DType, int], ...] = (
    ("bfloat16", 0),
    ("float16", 0),
    ("float32", 0),
    *(("bfloat16", bits) for bits in numbers.BITS),
)  # fmt: skip
"""What is offered, the usual one first."""


def look(path: Path, scratch: Path) -> Preview:
    """What the archive's configuration says, in words and figures. Raises UserError, OSError."""
    with Archive(path, scratch / "archive.tar") as archive:
        recipe = recipe_of(configuration.read(archive))
        tokenizers.read_all(archive, recipe.tokenizer)
        archive.member(WEIGHTS)
    description = described(path, recipe)
    reader = reader_of(recipe.name)
    return Preview(
        path=path,
        bytes=description.bytes,
        family=description.family,
        target=recipe.target.rpartition(".")[2],
        reader=reader,
        encoder=_encoder(recipe),
        decoders=tuple(_decoders(recipe)),
        tokenizers=tuple(file.name for file in recipe.tokenizer if file.field.endswith("model_path")),
        languages=description.languages,
        parameters=description.parameters,
        forms=tuple(_form(description, reader, dtype, bits) for dtype, bits in FORMS),
        memory_bytes=description.memory_bytes(),
        memory_total=host.total_memory(),
    )


def _form(description: Description, reader: str, dtype: numbers.DType, bits: int) -> Form:
    note = f"{reader} runs it as {CASTS[reader]}" if not bits and dtype != CASTS.get(reader, dtype) else ""
    try:
        return Form(dtype, bits, description.output_bytes(dtype, bits), note=note)
    except UserError as error:
        return Form(dtype, bits, 0, error.what, note)


def _layers(count: int, width: int) -> str:
    return f"{count} layer{'' if count == 1 else 's'} × {width}"


def _encoder(recipe: Recipe) -> str:
    sizes = recipe.encoder
    layers = _layers(sizes.layers, sizes.width)
    return f"{recipe.mel.bins} mel bins, FastConformer of {layers}, {sizes.factor}× subsampling"


def _decoders(recipe: Recipe) -> list[str]:
    found = []
    if sizes := recipe.transducer:
        layers = _layers(sizes.lstm_layers, sizes.hidden)
        durations = f", {sizes.durations} durations" if sizes.durations else ""
        found.append(f"LSTM of {layers}, joint {sizes.joint}, {sizes.labels:,} tokens{durations}")
    if recipe.ctc_labels:
        found.append(f"CTC head, {recipe.ctc_labels:,} tokens")
    if decoder := recipe.decoder:
        found.append(f"Transformer of {_layers(decoder.layers, decoder.width)}, {decoder.rows:,} tokens")
    return found


def work(parent: Parent) -> None:
    """Look and answer. Raises UserError."""
    source = Path(parent.order["source"])
    try:
        parent.send(look(source, Path(parent.order["scratch"])))
    except OSError as error:
        raise UserError(f"{error.filename or source}: {error.strerror or error}", "see that it can be read") from error


RUNTIME_BYTES = 400 * 2**20
"""What torch and MLX take by themselves."""

COPIES = 4
"""Of the largest layer: read, turned, in PyTorch and in MLX."""


@dataclass(frozen=True)
class Description:
    """family: "Parakeet TDT", ...; parameters: numbers in the model; bytes: size of the file."""

    family: str
    parameters: int
    bytes: int
    languages: tuple[str, ...]
    _rules: tuple[Rule, ...]

    def output_bytes(self, dtype: numbers.DType, bits: int = 0) -> int:
        """Size of the weights after conversion. Raises UserError where `bits` suit no layer."""
        form = numbers.format_of(dtype, bits, self._rules)
        return sum(tensor.bytes for rule in self._rules for tensor in numbers.plan(rule, form))

    def memory_bytes(self) -> int:
        """About what a conversion needs at its peak: the libraries, and a few copies of the largest layer."""
        layers: dict[str, int] = {}
        for rule in self._rules:
            name, _, rest = rule.target.partition(".layers.")
            layer = f"{name}.{rest.partition('.')[0]}" if rest else rule.target
            layers[layer] = layers.get(layer, 0) + 4 * rule.count
        return RUNTIME_BYTES + COPIES * max(layers.values())


def described(path: Path, recipe: Recipe) -> Description:
    """Of a checkpoint whose configuration has been read. Raises OSError."""
    rules = rules_of(recipe)
    languages = dict.fromkeys(file.language for file in recipe.tokenizer if file.language)
    return Description(
        family=recipe.name,
        parameters=sum(rule.count for rule in rules),
        bytes=path.stat().st_size,
        languages=tuple(languages),
        _rules=rules,
    )


if __name__ == "__main__":
    serve(work)
