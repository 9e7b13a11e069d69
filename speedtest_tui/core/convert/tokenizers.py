"""Which tokenizer files a checkpoint has: those that its configuration names, never those that happen to be there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from speedtest_tui.core.convert.archive import Archive
from speedtest_tui.core.convert.config import Section
from speedtest_tui.core.errors import UserError

FILES_LIMIT_BYTES = 64 * 2**20
PREFIX = "nemo:"
FIELDS = ("model_path", "vocab_path", "spe_tokenizer_vocab")
"""What NeMo writes for a SentencePiece tokenizer; only the first is needed to use it."""


@dataclass(frozen=True)
class TokenizerFile:
    """`field`: where the configuration names it; `name`: the member of the archive and the file in the output."""

    field: str
    name: str
    language: str = ""


def tokenizer_files(given: Section) -> tuple[TokenizerFile, ...]:
    """All files of a single or aggregate tokenizer. Raises UserError for a kind that is not known."""
    given.must_be("type", "bpe", "agg")
    if given.text("type", "bpe") == "bpe":
        return tuple(_files(given, "tokenizer", ""))
    languages = given.section("langs")
    found: list[TokenizerFile] = []
    for language in languages.values:
        part = languages.section(language)
        part.must_be("type", "bpe")
        found += _files(part, f"tokenizer.langs.{language}", str(language))
    return tuple(found)


def _files(given: Section, path: str, language: str) -> Iterator[TokenizerFile]:
    given.text("model_path")
    for field in FIELDS:
        if not given.has(field):
            continue
        value = given.text(field)
        name = value.removeprefix(PREFIX)
        if not value.startswith(PREFIX) or "/" in name or "\\" in name or name in ("", ".", ".."):
            raise UserError(
                f"{path}.{field} is {value!r:.80}, which is no file of the archive", "save the model with NeMo again"
            )
        yield TokenizerFile(f"{path}.{field}", name, language)


def read_all(archive: Archive, files: tuple[TokenizerFile, ...]) -> dict[str, bytes]:
    """Contents by file name. Raises UserError that names a file which the archive lacks."""
    found: dict[str, bytes] = {}
    room = FILES_LIMIT_BYTES
    for file in files:
        if file.name not in archive.members:
            raise UserError(
                f"{archive.name} lacks {file.name}, which {file.field} names", "it is incomplete; download it again"
            )
        if file.name not in found:
            room -= archive.members[file.name].size
            if room < 0:
                limit = f"{FILES_LIMIT_BYTES >> 20} MiB"
                raise UserError(f"the tokenizer of {archive.name} has more than {limit}", "real ones have far less")
            found[file.name] = archive.read(file.name)
    return found


def without_prefix(config: dict[str, Any]) -> dict[str, Any]:
    """The `tokenizer` section with plain file names; `dir`, a folder of the machine that trained, is left out."""
    return {
        key: without_prefix(value)
        if isinstance(value, dict)
        else value.removeprefix(PREFIX)
        if isinstance(value, str) and key in FIELDS
        else value
        for key, value in config.items()
        if key != "dir"
    }
