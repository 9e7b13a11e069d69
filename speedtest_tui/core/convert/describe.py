"""What a .nemo file is, told in a moment: before a conversion is started, nothing of it is unpacked or loaded."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from speedtest_tui.core.convert import config as configuration
from speedtest_tui.core.convert import numbers
from speedtest_tui.core.convert.archive import Archive
from speedtest_tui.core.convert.keymap import Rule
from speedtest_tui.core.convert.keymap_models import rules_of
from speedtest_tui.core.convert.recipe import Recipe, recipe_of

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
    layers: int
    width: int
    mel_bins: int
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


def describe(path: Path) -> Description:
    """Read a checkpoint's configuration. Raises UserError that says why it cannot be converted; OSError.

    A compressed archive is decompressed for that into a temporary file, which takes its time.
    """
    with tempfile.TemporaryDirectory() as folder, Archive(path, Path(folder) / "archive.tar") as archive:
        recipe = recipe_of(configuration.read(archive))
    return described(path, recipe)


def described(path: Path, recipe: Recipe) -> Description:
    """The same for a checkpoint whose configuration has been read. Raises OSError."""
    rules = rules_of(recipe)
    languages = dict.fromkeys(file.language for file in recipe.tokenizer if file.language)
    return Description(
        family=recipe.name,
        parameters=sum(rule.count for rule in rules),
        bytes=path.stat().st_size,
        layers=recipe.encoder.layers,
        width=recipe.encoder.width,
        mel_bins=recipe.mel.bins,
        languages=tuple(languages),
        _rules=rules,
    )
