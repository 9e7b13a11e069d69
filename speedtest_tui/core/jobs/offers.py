"""What could race here: every model that is known or found, for each backend, how it stands and what it would take.

The dashboard's picker shows it, and whoever starts a race counts with it. Loads, hashes and downloads nothing.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any, Literal

from backends.base import BackendEntry, ModelSpec
from backends.catalogue import SIZES, folder_config, parameters_of, published_bytes
from backends.registry import create
from speedtest_tui.core import disk, host
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.format import LOOKS, Mood, amount
from speedtest_tui.core.models import scan, wording
from speedtest_tui.core.models.inspect import inspect_models
from speedtest_tui.core.models.own import converted_models
from speedtest_tui.core.models.sizes import Candidate, Option, candidates, parse, resolve
from speedtest_tui.core.models.status import CacheState, ModelReport
from speedtest_tui.core.models.structure import Flaw, tensors_in
from speedtest_tui.core.race.groups import AVAILABLE_SHARE, expected_bytes
from speedtest_tui.core.sessions import index, store

Origin = Literal["catalogue", "converted", "found", "typed"]

CONFIG_MAX = 1_000_000
"""Bytes of a config.json that is looked into."""

SAME_CLIP = 0.05
"""Clips whose lengths differ by less than this share take equally long."""

DTYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}
"""As safetensors calls numbers, and as everybody else does."""


@dataclass(frozen=True)
class Offer:
    """A candidate that could race.

    candidate: resolved
    report: how its model stands; `usable` where it could race at once
    group: what people call the model; backends that share one stand together
    parameters: of the model; `counted` where its files say so, else as its name does
    precision: "4-bit", "float16"; "" where nobody knows without loading it
    memory: bytes that its process is expected to take at most, None where the model's size is unknown
    """

    candidate: Candidate
    report: ModelReport
    group: str
    origin: Origin = "catalogue"
    parameters: int | None = None
    counted: bool = False
    precision: str = ""
    memory: int | None = None

    @property
    def key(self) -> str:
        """The same for every name of the same model: "large" and "turbo" of mlx-whisper are one."""
        spec = self.report.spec
        source = " ".join(spec.identity) if spec else self.candidate.size
        return f"{self.candidate.backend}:{source}?{self.candidate.options}"

    @property
    def barred(self) -> bool:
        """Whether nothing but installing something, or another model, would let it race."""
        return self.report.unavailable is not None or self.report.spec is None or bool(self.report.spec.missing_reason)

    @property
    def here(self) -> bool:
        """Whether it could race at once and does not come with the program."""
        spec = self.report.spec
        return not self.barred and self.report.usable and spec is not None and spec.kind not in ("embedded", "bundled")

    @property
    def label(self) -> str:
        """Backend and model, as short as people say it."""
        return f"{self.candidate.backend} {self.candidate.size.rstrip('/').rpartition('/')[2]}"

    @property
    def languages(self) -> str:
        """Which it understands, as far as the catalogue says."""
        spec = self.report.spec
        return "" if spec is None or self.origin != "catalogue" else "English" if spec.english_only else "multilingual"


@dataclass(frozen=True)
class Earlier:
    """Seconds that a candidate took in the newest session with a clip of that length: to be ready, then for each."""

    ready_s: float
    first_s: float
    run_s: float


@dataclass(frozen=True)
class Offers:
    """All offers, as far as they are known. Grows while caches are read; `done` when nothing is left to be found.

    earlier: of candidates by their name, where they raced with such a clip before
    """

    offers: tuple[Offer, ...] = ()
    earlier: Mapping[str, Earlier] = field(default_factory=dict)
    free_memory: int = 0
    done: bool = False


def offers(
    entries: Sequence[BackendEntry],
    chosen: Sequence[Candidate] = (),
    options: Sequence[Option] = (),
    clip_s: float | None = None,
    cancelled: threading.Event | None = None,
) -> Iterator[Offers]:
    """Everything that could race: twice, at once without and then with what lies in the caches under other names.

    chosen: candidates that are offered whatever they are
    options: what single backends are set to
    clip_s: how long the clip is on which they would race
    """
    cancelled = cancelled or threading.Event()
    asked = [one for entry in entries for name in names_of(entry) for one in candidates((entry,), name, options)]
    found = list(offered(asked, cancelled=cancelled))
    groups = list(dict.fromkeys((*SIZES, *(offer.group for offer in found))))
    found.sort(key=lambda offer: groups.index(offer.group))
    found = _with(found, offered(chosen, "typed", cancelled))
    free = host.available_memory()
    yield Offers(tuple(found), free_memory=free)
    more = [one for model in converted_models() for one in candidates(entries, model.size, options)]
    found = _with(found, offered(_readable(more), "converted", cancelled))
    found = _with(found, offered(_in_caches(entries, options, cancelled), "found", cancelled))
    earlier = earlier_of(clip_s, cancelled) if clip_s else {}
    if not cancelled.is_set():
        yield Offers(tuple(found), earlier, free, done=True)


def one_each(offers: Sequence[Offer]) -> tuple[Offer, ...]:
    """For each backend one model that is here: the one that most backends have, among equals the smallest."""
    have = [offer for offer in offers if offer.here]
    shared = Counter(group for _, group in {(offer.candidate.backend, offer.group) for offer in have})
    chosen: dict[str, Offer] = {}
    for offer in have:
        known = chosen.get(offer.candidate.backend)
        if known is None or shared[offer.group] > shared[known.group]:
            chosen[offer.candidate.backend] = offer
    return tuple(chosen.values())


def read(
    names: Sequence[str],
    entries: Sequence[BackendEntry],
    options: Sequence[Option] = (),
    cancelled: threading.Event | None = None,
) -> tuple[tuple[Offer, ...], tuple[str, ...]]:
    """Candidates by the names that people type, and of names that mean nothing a sentence each.

    A name without a backend ("org/name", a folder) means every backend that can read it.
    """
    found: list[Candidate] = []
    problems = []
    by_name = {entry.name for entry in entries}
    for name in names:
        try:
            if name.partition(":")[0].strip() in by_name:
                found.append(parse(name, entries))
            else:
                usable = [one for one in resolve([name], entries, options) if not one.lacks_model]
                found += usable
        except UserError as error:
            problems.append(str(error))
    return tuple(offered(found, "typed", cancelled)), tuple(problems)


def _with(found: list[Offer], more: Iterable[Offer]) -> list[Offer]:
    known = {offer.key for offer in found}
    return [*found, *(offer for offer in more if offer.key not in known)]


def names_of(entry: BackendEntry) -> tuple[str, ...]:
    """What models a backend may have by a name: the sizes that all share, then names of its own."""
    try:
        own: Any = getattr(create(entry.reference), "models", {})
        return (*SIZES, *(str(name) for name in own if name not in SIZES))
    except Exception:  # its own code fails: `inspect_models` says how
        return SIZES


def offered(
    asked: Iterable[Candidate], origin: Origin = "catalogue", cancelled: threading.Event | None = None
) -> Iterator[Offer]:
    """Offers of candidates, those of one model in one. Names that a backend has no model of are left out."""
    by_entry: dict[tuple[str, tuple[tuple[str, str], ...]], list[Candidate]] = {}
    for one in asked:
        by_entry.setdefault((one.backend, one.options), []).append(one)
    for several in by_entry.values():
        entry, options = several[0].entry, several[0].options
        for report in inspect_models(several, cancelled):
            if report.without_model:
                continue
            group = _group(report) if origin == "catalogue" else report.size
            size = group if group in report.sizes else report.size
            yield _offer(
                Offer(Candidate(entry, size, options, report.spec or report.unavailable), report, group, origin)
            )


def _offer(offer: Offer) -> Offer:
    spec = offer.report.spec
    if spec is None:
        return offer
    counted, precision = _counted(offer.report)
    whole = model_bytes(offer.report)
    engine = create(offer.candidate.entry.reference).engine
    return replace(
        offer,
        parameters=counted or parameters_of(spec.source) or parameters_of(offer.group),
        counted=counted is not None,
        precision=(spec.variant if spec.variant.endswith("-bit") else "") or precision,
        memory=None if whole is None else expected_bytes(engine, whole),
    )


def _group(report: ModelReport) -> str:
    """What people call a model of the catalogue: its size; where it stands for several of them, its own name.

    "large" does not count: it is another word for the newest one.
    """
    of_sizes = [size for size in report.sizes if size in SIZES and size != "large"]
    own = [size for size in report.sizes if size not in SIZES]
    if len(of_sizes) == 1:
        return of_sizes[0]
    return own[-1] if own else report.size if len(of_sizes) < 2 else wording.model_name(report)


def _readable(asked: Iterable[Candidate]) -> Iterator[Candidate]:
    return (one for one in map(Candidate.resolved, asked) if isinstance(one.model, ModelSpec))


def _in_caches(
    entries: Sequence[BackendEntry], options: Sequence[Option], cancelled: threading.Event
) -> Iterator[Candidate]:
    """What lies in the caches, for each backend that can read it."""
    for name, folder in scan.found_models(cancelled=cancelled):
        if not _is_small_file(folder / "config.json"):
            continue  # a model without one has a name of the catalogue, or none can tell what it is
        for entry in entries:
            read = next(_readable(candidates((entry,), str(folder), options)), None)
            if read is not None:
                yield next(_readable(candidates((entry,), name, options)), read)


def _is_small_file(path: Path) -> bool:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size <= CONFIG_MAX


# What a model is, and what it would take.


def standing(offer: Offer) -> tuple[str, Mood]:
    """How a model stands in a glyph and words: "✓ on disk", "– to download", "▒ partial 37 %", "○ not installed"."""
    report = offer.report
    if why := report.unavailable:
        look = LOOKS["unavailable" if why.kind == "not-installed" else "failed"]
        return f"{look.glyph} {look.word}", look.mood
    if report.spec is None or report.spec.missing_reason:
        return f"{LOOKS['missing'].glyph} does not exist", "quiet"
    if report.spec.kind in ("embedded", "bundled") and report.usable:
        return f"{LOOKS['complete'].glyph} built in", "good"
    state = wording.nearest(report)
    if report.usable and state.state != "complete":
        return f"{LOOKS['complete'].glyph} another copy", "good"
    if state.state == "complete":
        return f"{LOOKS['complete'].glyph} on disk", "good"
    if state.state in ("missing", "not-applicable"):
        return f"{LOOKS['missing'].glyph} {'to download' if downloadable(report) else 'not there'}", "quiet"
    return wording.long(state)


def downloadable(report: ModelReport) -> bool:
    """Whether a download can bring what is not here."""
    return report.spec is not None and report.spec.kind in ("hub", "openai") and not report.spec.missing_reason


def model_bytes(report: ModelReport) -> int | None:
    """Bytes of a model's files when it is whole; None where neither a cache nor the catalogue says."""
    if report.spec is None:
        return None
    if report.location is not None and report.location.bytes:
        return report.location.bytes
    state = wording.nearest(report)
    if state.state == "complete" or report.spec.kind in ("embedded", "bundled"):
        return state.bytes
    return state.expected_bytes or published_bytes(report.spec)


def missing_bytes(report: ModelReport) -> int | None:
    """Bytes to download before a model can race; 0 where it can, or no download would help; None where unknown."""
    if report.usable or not downloadable(report):
        return 0
    whole = model_bytes(report)
    return None if whole is None else max(0, whole - _good_bytes(wording.nearest(report)))


def _good_bytes(state: CacheState) -> int:
    """What a download need not bring again: whole files, and the beginnings of unfinished ones."""
    return sum(file.bytes for file in state.files if file.fault is None or file.fault.kind == "missing-file")


@dataclass(frozen=True)
class ToDownload:
    """What is not on this machine. models: how many; bytes: of those whose size is known; unknown: how many's is not"""

    models: int = 0
    bytes: int = 0
    unknown: int = 0

    @property
    def words(self) -> str:
        """ "3.4 GB", "at least 3.4 GB"; "" where no size is known."""
        return f"{'at least ' if self.unknown else ''}{amount(self.bytes)}" if self.bytes else ""


def absent(report: ModelReport) -> bool:
    """Whether a backend could run a model that only has to be downloaded."""
    return report.spec is not None and not report.unavailable and not report.usable and downloadable(report)


def to_download(reports: Iterable[ModelReport]) -> ToDownload:
    """What would have to be downloaded for all of these; a model that several share counts once."""
    missing: dict[tuple[str, ...], int | None] = {}
    for report in reports:
        if report.spec is not None and absent(report):
            missing[report.spec.identity] = missing_bytes(report)
    known = [size for size in missing.values() if size is not None]
    return ToDownload(len(missing), sum(known), len(missing) - len(known))


def memory(offers: Iterable[Offer], free: int) -> tuple[int, bool, bool]:
    """Bytes that all together are expected to take, whether some are unknown, and whether that fits beside the rest."""
    sizes = [offer.memory for offer in offers]
    needed = sum(size for size in sizes if size is not None)
    return needed, None in sizes, needed <= AVAILABLE_SHARE * free


def expected_s(names: Iterable[str], earlier: Mapping[str, Earlier], runs: int, warmup: int) -> float | None:
    """Seconds that a race of these candidates should take; None unless each has raced with such a clip before."""
    found = [earlier.get(name) for name in names]
    if not found or None in found:
        return None
    return sum(one.ready_s + warmup * one.first_s + runs * one.run_s for one in found if one is not None)


def earlier_of(clip_s: float, cancelled: threading.Event | None = None) -> dict[str, Earlier]:
    """What candidates took in the newest session of this machine with a clip about that long."""
    found: dict[str, Earlier] = {}
    chip = host.describe().chip
    try:
        for session in index.summaries():
            if cancelled is not None and cancelled.is_set():
                break
            if (
                isinstance(session, index.Summary)
                and session.machine == chip
                and abs(session.clip.seconds - clip_s) <= SAME_CLIP * clip_s
                and any(entry.rank and f"{entry.backend}:{entry.size}" not in found for entry in session.entries)
            ):
                _learn(session.folder, found)
    except UserError:
        return {}  # a guess does not depend on what cannot be read
    return found


def _learn(folder: Path, found: dict[str, Earlier]) -> None:
    session = store.read(folder)
    if not isinstance(session, store.Session):
        return
    for one in session.document.results:
        if one.status == "ok" and one.median_s and one.load_s is not None and one.first_s is not None:
            ready = (one.import_s or 0.0) + one.load_s
            found.setdefault(f"{one.backend}:{one.size}", Earlier(ready, one.first_s, one.median_s))


def _counted(report: ModelReport) -> tuple[int | None, str]:
    """How many parameters a model has and in which precision, by the headers of its files; (None, "") for others.

    Packed numbers (MLX: uint32 beside "scales") hold as many parameters as their bits allow.
    """
    files = [file.path for file in wording.nearest(report).files if file.name.endswith(".safetensors")]
    if not report.usable or not files:
        return None, ""
    config = folder_config(files[0].parent)
    packing = config.get("quantization")
    bits = packing.get("bits") if isinstance(packing, dict) else None
    number, by_type = 0, dict[str, int]()
    for path in files:
        try:
            with disk.opened_plain(path) as file:
                tensors = tensors_in(file, path.name, os.fstat(file.fileno()).st_size)[1]
            for name, tensor in tensors.items():
                if name == "__metadata__" or (bits and name.endswith((".scales", ".biases"))):
                    continue
                count = prod(tensor["shape"])
                packed = bool(bits) and tensor["dtype"] == "U32"
                number += count * 32 // bits if packed else count
                by_type["packed" if packed else tensor["dtype"]] = by_type.get(tensor["dtype"], 0) + count
        except (OSError, Flaw, KeyError, TypeError, ValueError, ZeroDivisionError):
            return None, ""
    most = max(by_type, key=lambda kind: by_type[kind], default="")
    return (number or None), f"{bits}-bit" if "packed" in by_type else DTYPES.get(most, "")
