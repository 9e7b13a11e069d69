"""A corpus: many clips with what is said in them, from a folder or from a manifest as the field writes them.

A folder has audio files, each with a text of the same name beside it (.txt, .srt, .vtt), or LibriSpeech's .trans.txt.
A manifest is JSON lines (NeMo: `audio_filepath`, `text`), or CSV or TSV with a header (Common Voice: `path`,
`sentence`). Nothing is decoded here: what a file really is shows when its turn comes.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from speedtest_tui.core import darwin
from speedtest_tui.core.accuracy import reference
from speedtest_tui.core.accuracy.reference import from_file, from_text
from speedtest_tui.core.disk import is_left_by_a_system, read_plain
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import count, one_line

AUDIO = (
    ".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".webm", ".mp4", ".aac", ".aiff", ".aif", ".caf", ".wma", ".mka",
    ".mkv", ".mov", ".amr", ".sph",
)  # fmt: skip
"""How names of files end that are taken for audio in a folder. A manifest may name any."""

TEXTS = (".txt", ".srt", ".vtt", ".lab")

MANIFESTS = (".jsonl", ".json", ".ndjson", ".csv", ".tsv")

AUDIO_KEYS = ("audio_filepath", "audio", "audio_path", "path", "file", "file_name", "filename", "wav")
TEXT_KEYS = ("text", "sentence", "transcript", "transcription", "reference", "normalized_text")
ID_KEYS = ("id", "utt_id", "utterance_id", "segment_id", "key")
LANGUAGE_KEYS = ("language", "lang", "locale")

LARGEST_BYTES = 1 << 30
"""Of a manifest: a million lines are some 200 MB."""

LISTED = 5
"""Problems that are named one by one."""


@dataclass(frozen=True)
class Utterance:
    """A clip of a corpus, by a name of its own; text: what is said, None where nobody wrote it down."""

    key: str
    path: Path
    text: str | None = None
    language: str | None = None


@dataclass(frozen=True)
class Corpus:
    """problems: what could not be taken, in words, each a sentence about one entry."""

    name: str
    utterances: tuple[Utterance, ...]
    problems: tuple[str, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """The first problems, and how many more there are."""
        more = len(self.problems) - LISTED
        return (*self.problems[:LISTED], *([f"and {count(more, 'entry')} more could not be taken"] if more > 0 else []))


def is_corpus(path: Path) -> bool:
    """Whether a path means a corpus: a folder, or a file that is called like a manifest."""
    return path.is_dir() or path.suffix.lower() in MANIFESTS


def read(path: Path) -> Corpus:
    """Find all clips of a folder or a manifest. Raises UserError where that cannot be read, or has none."""
    shown = one_line(str(path))
    try:
        found = list(_folder(path) if path.is_dir() else _manifest(path, shown))
    except OSError as error:
        raise UserError(f"{shown} cannot be read ({error.strerror or error})", "check its permissions") from None
    problems = tuple(one for one in found if isinstance(one, str))
    taken = tuple(_once([one for one in found if isinstance(one, Utterance)]))
    if not taken:
        why = f" ({problems[0]})" if problems else ""
        todo = "put audio files in it, each with a .txt of the same name beside it"
        raise UserError(
            f"{shown} has no clip{why}", todo if path.is_dir() else "name a manifest with paths of audio files"
        )
    return Corpus(path.name if path.is_dir() else path.stem, taken, problems)


def _once(found: list[Utterance]) -> Iterator[Utterance]:
    """The same with a key of its own for each: "a", "a (2)"."""
    seen: Counter[str] = Counter()
    taken = {one.key for one in found}
    for one in found:
        seen[one.key] += 1
        key, number = one.key, seen[one.key]
        while number > 1 and (key := f"{one.key} ({number})") in taken:
            number += 1
        taken.add(key)
        yield replace(one, key=key)


# Folders.


def _folder(folder: Path) -> Iterator[Utterance | str]:
    """Audio files below a folder, in the order of their names; other files and hidden folders are left alone."""
    for place, folders, names in os.walk(folder, onerror=_raise_at(folder)):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not is_left_by_a_system(name))
        here = Path(place)
        try:
            spoken = _librispeech(here, names)
        except UserError as error:
            spoken = {}
            yield error.advice.what
        for name in sorted(names):
            path = here / name
            if path.suffix.lower() not in AUDIO or name.startswith(".") or is_left_by_a_system(name):
                continue
            key = path.relative_to(folder).with_suffix("").as_posix()
            try:
                yield Utterance(key, path, spoken.get(path.stem) or _beside(path))
            except UserError as error:
                yield f"{one_line(key)}: {error.advice.what}"


def _raise_at(folder: Path) -> Callable[[OSError], None]:
    def failed(error: OSError) -> None:
        if error.filename == str(folder):
            raise error  # of folders further down what can be read counts

    return failed


def _beside(path: Path) -> str | None:
    """The text beside an audio file: "talk.txt", "talk.wav.txt"."""
    for end in TEXTS:
        for text in (path.with_suffix(end), path.with_name(path.name + end)):
            if text.is_file():
                return from_file(text) or None
    return None


def _librispeech(folder: Path, names: list[str]) -> dict[str, str]:
    """What LibriSpeech's transcripts of a folder say: a line "id TEXT" for each clip."""
    found: dict[str, str] = {}
    for name in names:
        if name.endswith(".trans.txt"):
            for line in _text(folder / name, name, "transcript", reference.LARGEST_BYTES).splitlines():
                key, _, text = line.strip().partition(" ")
                found[key] = from_text(text)
    return found


# Manifests.


def _text(path: Path, shown: str, kind: str = "manifest", largest: int = LARGEST_BYTES) -> str:
    """A text file in UTF-8, or UTF-16 with its mark. Raises UserError."""
    darwin.check_here(path, shown)
    if not path.is_file():
        raise UserError(f"{shown} {'is no file' if path.exists() else 'does not exist'}", "name a folder or a manifest")
    try:
        data, _ = read_plain(path, largest)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise UserError(f"{shown} is too large for a {kind}", "split it") from None
        raise UserError(f"{shown} cannot be read ({error.strerror or error})", "check its permissions") from None
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{shown} is no UTF-8 text (line {line})", "save it in UTF-8") from None


def _manifest(path: Path, shown: str) -> Iterator[Utterance | str]:
    text = _text(path, shown)
    rows = _csv(text, path.suffix.lower()) if path.suffix.lower() in (".csv", ".tsv") else _json(text, shown)
    for number, row in rows:
        if isinstance(row, str):
            yield f"line {number}: {row}"
            continue
        named = _value(row, AUDIO_KEYS)
        if not named:
            yield f"line {number}: it names no audio file (as {', '.join(AUDIO_KEYS[:3])}, ...)"
            continue
        audio = _found(path.parent, named)
        if audio is None:
            yield f"line {number}: {one_line(named)} does not exist"
            continue
        said = from_text(_value(row, TEXT_KEYS)) or _beside(audio)
        key = _value(row, ID_KEYS) or Path(named).with_suffix("").as_posix()
        yield Utterance(one_line(key), audio, said, _value(row, LANGUAGE_KEYS).partition("-")[0].lower() or None)


def _value(row: Mapping[str, object], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = row.get(key)
        if isinstance(value, Mapping):  # datasets: {"path": ...}
            value = value.get("path")
        if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""


def _found(folder: Path, named: str) -> Path | None:
    """The file that an entry means: absolute, or from where the manifest is, or as Common Voice has it in "clips"."""
    for base in (folder, folder / "clips"):
        path = base / Path(named).expanduser()
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):
            return None
    return None


def _json(text: str, shown: str) -> Iterator[tuple[int, dict[str, object] | str]]:
    """Lines of JSON; or one list of objects, as some call a manifest."""
    if text.lstrip().startswith("["):
        try:
            rows = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{shown} is no JSON ({error})", "write one JSON object a line") from None
        for number, row in enumerate(rows, 1):
            yield number, row if isinstance(row, dict) else "it is no object"
        return
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield number, "it is no JSON"
        else:
            yield number, row if isinstance(row, dict) else "it is no object"


def _csv(text: str, end: str) -> Iterator[tuple[int, dict[str, object] | str]]:
    """Rows of a table with a header; quotes mean nothing in a TSV, as Common Voice writes them."""
    header = text.partition("\n")[0]
    tabs = end == ".tsv" or ("\t" in header and "," not in header)
    reader = csv.DictReader(
        io.StringIO(text, newline=""),
        delimiter="\t" if tabs else ";" if ";" in header and "," not in header else ",",
        quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
    )
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, f"it is no row ({error})"
            continue
        yield reader.line_num, {str(key).strip().lower(): value for key, value in row.items() if key is not None}
