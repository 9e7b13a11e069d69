"""The backend protocol: what an implementation says of itself, and what it observed when it ran.

A backend is cheap to construct. It imports its library in `import_library`, reads weights in `load` and runs in
`transcribe`, so that the three are timed apart. All three are called in the main thread of a child process of its own
(MLX arrays belong to the thread that made them); `availability` and `model` are also called in the parent, where no
heavy library may be imported.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]
    """A clip's samples: float32, shape (n,), 16 kHz mono, values in [-1, 1]."""


SAMPLE_RATE = 16_000
"""Samples per second of every clip that a backend is given."""

Engine = Literal["mlx", "torch", "cpu"]
SourceKind = Literal["hub", "openai", "embedded", "bundled", "folder"]


@dataclass(frozen=True)
class Advice:
    """What is wrong and what to do about it, for people: each a clause without a full stop; `todo` may be empty."""

    what: str
    todo: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.todo}" if self.todo else self.what


@dataclass(frozen=True)
class Availability:
    """Whether a backend can run here; `fix` is the one line that makes it so, empty when `ok`."""

    ok: bool
    version: str = ""
    device: str = ""
    fix: str = ""


@dataclass(frozen=True)
class RequiredFile:
    """A file that a model needs; any one of `names` will do, the first is preferred.

    An index of shards (`*.index.json`) brings all shards that it names; vocab.json brings merges.txt where it is in the
    place of tokenizer.json.
    optional: the library reads it where it is there, so that damage to it counts; without it the model works
    reader: whose settings it holds: "mlx-whisper", "transformers", "parakeet-mlx", "canary-mlx"; "" where nobody knows
    """

    names: tuple[str, ...]
    sha256: str = ""
    """Known hash in lower-case hex, or empty."""
    optional: bool = False
    reader: str = ""


@dataclass(frozen=True)
class ModelSpec:
    """The one model that a backend maps a size to. Loading, checking, downloading and repairing all read this.

    source: where it comes from, by kind:
        hub: "org/name" on the Hugging Face hub
        openai: the URL of a .pt file, whose last folder is its sha256
        embedded: "<model>/<layout>", unpacked from this package
        bundled: carried by the library's own wheel
        folder: the absolute path of a model's folder or file, or "converted/<name>" for one that this program converted
    """

    kind: SourceKind
    source: str
    files: tuple[RequiredFile, ...] = ()
    revision: str = ""
    """Pinned commit; empty means what the cache's `main` ref names."""
    variant: str = ""
    """What the publisher declares of the weights ("4-bit", "turbo"); what really ran is observed by `load`."""
    english_only: bool = False
    fallback: ModelSpec | None = None
    shared: bool = False
    """Whether its repository holds other models beside it, each in files of its own."""
    missing_reason: str = ""
    """Set where the size has a place in the map but no weights exist yet."""

    @property
    def identity(self) -> tuple[str, ...]:
        """The same for all names of one model: its source, and in a repository of several its files."""
        files = (name for file in self.files for name in file.names) if self.shared else ()
        return (self.kind, self.source, self.revision, *files)


@dataclass(frozen=True)
class Location:
    """Where a model was found. `path` is absolute: a folder (hub, embedded), a file (openai) or None (bundled)."""

    path: Path | None
    revision: str = ""
    cache: str = ""
    """Which cache it lies in: "hf", "local", "whisper", "embedded" or "bundled"."""
    bytes: int = 0
    """Size of the required files on disk."""


@dataclass(frozen=True)
class LoadOptions:
    """`memory_bytes` is the machine's physical memory, from which a backend may size its batches.

    chosen: what the user set for this backend alone, as names and values; see `Configurable`
    """

    memory_bytes: int = 0
    chosen: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Loaded:
    """Facts observed after loading, never declared ones.

    device: "Apple M4 Pro GPU", "cpu", "mps", "cuda:0", ...
    dtype: of the weights that compute ("float16"); for quantised layers that of their scales
    bits: stored bits per weight, averaged over all weights, scales and biases of quantised layers included
    parameters: number of weights in the unquantised sense
    files: the files that were read, absolute
    options: decoding and loading options in force, for the record
    """

    device: str
    dtype: str
    bits: float | None
    parameters: int | None
    source: str
    revision: str
    files: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class TranscribeOptions:
    """`language` is an ISO 639-1 code, or None to let the library detect it."""

    language: str | None = None


@dataclass(frozen=True)
class Segment:
    """A stretch of text with its start and end in seconds from the start of the clip."""

    start: float
    end: float
    text: str


class Loop(str):
    """Why a text is no transcription: it says the same over and over. The model's numbers may be sound all the same."""

    __slots__ = ()


@dataclass(frozen=True)
class Transcription:
    """What was heard. `invalid` says in words why the output cannot count (NaN, a repetition loop), or is empty.

    words: each with its times, where the library tells them
    figures: measured in this run beside its time, by name; names that end in "_s" are seconds
    looping: whether `invalid` is a Loop, which says nothing of the model
    detected: whether the model found out `language` from the clip, where it could have been another
    reported_s: the seconds of the work alone, where a program that starts anew for each run tells them
    """

    text: str
    segments: tuple[Segment, ...] = ()
    language: str = ""
    warnings: tuple[str, ...] = ()
    invalid: str = ""
    words: tuple[Segment, ...] = ()
    figures: tuple[tuple[str, float], ...] = ()
    looping: bool = False
    detected: bool = False
    reported_s: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.invalid, Loop):
            object.__setattr__(self, "looping", True)
            object.__setattr__(self, "invalid", str(self.invalid))  # a plain one can be sent and kept


@dataclass(frozen=True)
class DeviceMemory:
    """Bytes on the accelerator as its runtime counts them; None where it keeps no such figure.

    cache: freed and kept for later use; limit: how much all processes together may have there without harm
    """

    active: int | None = None
    peak: int | None = None
    cache: int | None = None
    limit: int | None = None


class BackendError(Exception):
    """A failure with a plain sentence and, where one is known, what to do about it."""

    def __init__(self, message: str, hint: str = "", kind: str = "error") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.kind = kind


def no_such_option(name: str, known: Iterable[str]) -> BackendError:
    """What to raise for an option that a backend does not have."""
    from difflib import get_close_matches

    known = list(known)
    near = get_close_matches(name, known, n=1, cutoff=0.75)
    todo = f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}"
    return BackendError(f"no option is called {name!r}", todo, "option")


class Backend(Protocol):
    """One implementation as shipped. `name` is what users type; `summary` is one line for lists."""

    name: str
    engine: Engine
    summary: str

    def availability(self) -> Availability:
        """Say whether the library is installed here, without importing it."""

    def model(self, size: str) -> ModelSpec | None:
        """Return the model that `size` means for this backend, or None where it has none of that size."""

    def import_library(self) -> None:
        """Import everything that the library would otherwise import during `load` or the first `transcribe`."""

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        """Load the weights, evaluate them on the device and return what was observed.

        Raises BackendError with kind "model" where the files cannot be used.
        """

    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        """Transcribe `samples`; blocking, complete when it returns. May be called any number of times."""

    def synchronize(self) -> None:
        """Wait until the device has finished what was asked of it."""

    def device_memory(self) -> DeviceMemory:
        """Read the device's memory counters; called in the same thread as `transcribe`."""

    def close(self) -> None:
        """Drop the model."""


class Configurable(Protocol):
    """A backend with options of its own, which users set as `backend.name=value`. `load` is given them as `chosen`."""

    def check_options(self, chosen: Sequence[tuple[str, str]]) -> None:
        """Raise BackendError with kind "option" for a name that it does not have or a value that it cannot use."""


class Observant(Protocol):
    """A backend that can say more of its device. Asked once, untimed, after the first transcription."""

    def observed(self) -> tuple[tuple[str, str], ...]:
        """Facts as names and values, for the record; they join `Loaded.options`."""


def is_repository(name: str) -> bool:
    """Whether this is how a repository of the hub is called: "org/name"."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", name, re.ASCII) is not None


class Library:
    """What most backends have alike, to inherit from: `availability`, `load` and `transcribe` are left to write.

    models: by size
    layout: the files of a model in anybody's repository; none where only `models` are read
    imports: the modules of `import_library`; those that a library would import lazily belong here too
    """

    name = ""
    models: Mapping[str, ModelSpec] = {}
    imports: tuple[str, ...] = ()
    layout: tuple[RequiredFile, ...] = ()
    _model: Any = None

    def model(self, size: str) -> ModelSpec | None:
        if spec := self.models.get(size):
            return spec
        if is_repository(size):
            return ModelSpec("hub", size, self.layout) if self.layout else None
        return self.found_at(Path(size)) if Path(size).is_absolute() else None

    def found_at(self, path: Path) -> ModelSpec | None:
        """The model in a folder or file, of kind "folder" with the path as its source; None where it is not read."""
        return None

    def import_library(self) -> None:
        for module in self.imports:
            import_module(module)

    def path_of(self, location: Location, what: str = "a folder of weights") -> Path:
        """Where the model lies. Raises BackendError with kind "model" where nothing was found."""
        if location.path is None or not location.path.is_absolute():
            # A relative path that exists is taken for a repository name by some: 23 s of retries when offline.
            raise BackendError(f"{self.name} needs the absolute path of {what}", kind="model")
        return location.path

    def synchronize(self) -> None:
        """Nothing to wait for on a processor."""

    def device_memory(self) -> DeviceMemory:
        """A processor keeps no figures of its own."""
        return DeviceMemory()

    def close(self) -> None:
        self._model = None


@dataclass(frozen=True)
class BackendEntry:
    """How to make a backend without importing anything yet: `reference` is "module:attribute" of a callable.

    optional: it takes part only where it was named or chosen
    """

    name: str
    reference: str
    provider: str = field(default="speedtest-tui")
    """The distribution that registered it."""
    optional: bool = False


def how_to_install(extra: str) -> str:
    """What to do for an extra of this program: the command that fits how it was installed, or what the system lacks.

    The systems are those for which tools/check_wheels.py finds no wheels. pipx and uv leave a file in what they made,
    where pip would install beside it.
    """
    this = ".".join(map(str, sys.version_info[:2]))
    if extra == "pocketsphinx" and this not in ("3.11", "3.13"):
        return f"use Python 3.11 or 3.13: there is no package of it for {this}"
    if sys.platform == "darwin" and platform.machine() != "arm64" and extra in ("mlx", "transformers"):
        return "it needs Apple silicon and a Python that runs natively on it (arm64)"
    if extra == "mlx":
        (libc, version), macos = platform.libc_ver(), platform.mac_ver()[0]
        if macos and int(macos.partition(".")[0]) < 14:
            return f"update to macOS 14 or newer, which MLX needs: this is macOS {macos}"
        if libc == "glibc" and tuple(map(int, version.split(".")[:2])) < (2, 35):
            return f"use a Linux with glibc 2.35 or newer, which MLX needs: this is {version}"
    for file, command in (("pipx_metadata.json", "pipx install --force"), ("uv-receipt.toml", "uv tool install")):
        if Path(sys.prefix, file).exists():
            return f"{command} 'speedtest-tui[{extra}]'"
    return f"pip install 'speedtest-tui[{extra}]'"


def installed(module: str, distribution: str, extra: str, device: str) -> Availability:
    """Report on a library: importable `module`, version of `distribution`, installed by the extra `extra`."""
    from importlib.metadata import PackageNotFoundError, version

    if find_spec(module) is None:
        return Availability(False, device=device, fix=how_to_install(extra))
    try:
        return Availability(True, version(distribution), device)
    except PackageNotFoundError:
        return Availability(True, "unknown", device)


def mlx_library(module: str, distribution: str) -> Availability:
    """The same for a library on MLX, which runs on Apple silicon (Metal) and, slowly, on Linux processors."""
    if sys.platform == "darwin" and platform.machine() != "arm64":
        return Availability(False, fix=how_to_install("mlx"))
    if sys.platform not in ("darwin", "linux"):
        return Availability(False, fix="MLX runs on macOS and Linux only")
    return installed(module, distribution, "mlx", "Metal GPU" if sys.platform == "darwin" else "CPU")


def torch_device_expected() -> str:
    """The device that PyTorch will most likely choose here; what it did choose is observed after loading."""
    if sys.platform == "darwin":
        return "MPS" if platform.machine() == "arm64" else "CPU"
    return "CUDA" if Path("/proc/driver/nvidia/version").exists() else "CPU"
