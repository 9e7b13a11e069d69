"""Reading `model_config.yaml` field by field, with errors that name the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from speedtest_tui.core.convert.archive import Archive
from speedtest_tui.core.errors import UserError

FILE = "model_config.yaml"
Config = dict[str, Any]

COUNT_LIMIT, LAYERS_LIMIT = 1_000_000, 1_000
"""No width or label count, and no number of layers, comes near; a larger one is damage."""

LARGEST_BYTES, DEEPEST, MOST_EVENTS = 2 << 20, 100, 500_000
"""Real configurations have some 100 kB, ten levels, and an event for each of up to 16,000 labels. YAML costs 500 times
its size in memory, and a parser in C crashes on deep nesting."""


def read(archive: Archive) -> Config:
    """Parse the archive's configuration. Raises UserError where it is missing or no configuration."""
    return parse(archive.read(FILE), archive.name)


def parse(data: bytes, source: str) -> Config:
    """Parse YAML that may come from anywhere: no tags, and no aliases, with which small files become huge ones."""
    import yaml  # type: ignore[import-untyped]

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if len(data) > LARGEST_BYTES:
            raise UserError(f"{FILE} in {source} has {len(data) / 1e6:.1f} MB", "no checkpoint of NeMo's has so much")
        depth = 0
        for count, event in enumerate(yaml.parse(data, loader)):
            if isinstance(event, yaml.AliasEvent):
                raise UserError(f"{FILE} in {source} uses YAML aliases", "NeMo writes none; it is not read")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST or count > MOST_EVENTS:
                raise UserError(f"{FILE} in {source} is nested too deeply or too long", "it is not read")
        config = yaml.load(data, loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        text = " ".join(str(error).split())
        raise UserError(f"{FILE} in {source} is no YAML ({text:.120})", "download the checkpoint again") from error
    if not isinstance(config, dict):
        raise UserError(f"{FILE} in {source} holds no settings", "download the checkpoint again")
    return config


class Section:
    """One mapping of the configuration, whose fields are asked for with the type that they must have."""

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self.values, self._path = values, path

    def section(self, name: str) -> Section:
        value = self.values.get(name)
        if not isinstance(value, Mapping):
            raise self._missing(name, "a section")
        return Section(value, f"{self._path}{name}.")

    def has(self, name: str) -> bool:
        return self.values.get(name) is not None

    def layers(self, name: str) -> int:
        """A number of layers: each of them has rules of its own, so that a large number would cost gigabytes."""
        if (count := self.count(name)) > LAYERS_LIMIT:
            raise UserError(f"{FILE}: {self._path}{name} is {count:,}", "no checkpoint of NeMo's has so many layers")
        return count

    def count(self, name: str, default: int | None = None) -> int:
        """A whole number from 1 to COUNT_LIMIT; `default` also where the field is null."""
        value = self.values.get(name)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= COUNT_LIMIT:
            raise self._missing(name, "a whole number above zero")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.values.get(name)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise self._missing(name, "true or false")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        value = self.values.get(name, default)
        if not isinstance(value, str) or not value:
            raise self._missing(name, "a text")
        return value

    def texts(self, name: str) -> list[str]:
        value = self.values.get(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._missing(name, "a list of texts")
        return value

    def must_be(self, name: str, *allowed: object) -> None:
        """Refuse a field whose value no MLX model here computes; the first of `allowed` is NeMo's default."""
        value = self.values.get(name, allowed[0])
        if value not in allowed:
            known = " or ".join(str(item).lower() if isinstance(item, bool) else f"{item!s}" for item in allowed)
            raise UserError(
                f"the model has {self._path}{name} = {value!s}, which cannot be converted", f"supported is {known}"
            )

    def _missing(self, name: str, wanted: str) -> UserError:
        value = self.values.get(name)
        return UserError(
            f"{FILE}: {self._path}{name} is {'missing' if value is None else repr(value)[:60]}, not {wanted}",
            "the checkpoint may be damaged; download it again",
        )
