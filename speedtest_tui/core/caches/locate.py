"""Finding the files of one model in whichever cache holds them, without loading or fetching anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backends.base import Location, ModelSpec, RequiredFile
from speedtest_tui.core.caches import locations

LFS_POINTER = b"version https://git-lfs"
"""How a file begins that stands for a large one (git-lfs specification v1)."""


@dataclass(frozen=True)
class NotFound:
    """Why a model cannot be used from disk: the sentence, and what to do."""

    reason: str
    hint: str


def locate(spec: ModelSpec) -> Location | NotFound:
    """Find a hub, openai or bundled model. An embedded one is found by unpacking it: `core.caches.materialise`."""
    if spec.missing_reason:
        return NotFound(spec.missing_reason, "choose another size, or leave this backend out")
    if spec.kind == "bundled":
        return Location(None, cache="bundled")
    if spec.kind == "openai":
        return _locate_checkpoint(spec)
    return _locate_repository(spec)


def repository_folder(cache: Path, repository: str) -> Path:
    """`models--org--name`, as huggingface_hub names it."""
    return cache / f"models--{repository.replace('/', '--')}"


def _locate_repository(spec: ModelSpec) -> Location | NotFound:
    local = locations.local_cache()
    # `hub/` below the local cache: what a library leaves there when it is given the folder as HF_HOME.
    places = (("hf", locations.hf_cache()), ("local", local), ("local", local / "hub"))
    problems = []
    for name, cache in places:
        folder = repository_folder(cache, spec.source)
        if not folder.is_dir():
            continue
        snapshot = _snapshot(folder, spec.revision)
        if snapshot is None:
            problems.append(f"{folder.name} has no snapshot")
            continue
        problem = next(filter(None, (check(snapshot, file) for file in spec.files)), "")
        if not problem:
            size = sum(present(snapshot, file).stat().st_size for file in spec.files)
            return Location(snapshot.absolute(), snapshot.name, name, size)
        problems.append(f"{folder.name}: {problem}")
    if problems:
        return NotFound(f"{spec.source} is incomplete: {'; '.join(problems)}", f"fetch it: hf download {spec.source}")
    return NotFound(f"{spec.source} is not on this machine", f"fetch it: hf download {spec.source}")


def _snapshot(folder: Path, revision: str) -> Path | None:
    """The snapshot that a revision, else the `main` ref, names; without a ref the only one there is."""
    if not revision:
        try:
            revision = (folder / "refs" / "main").read_text().strip()
        except (OSError, UnicodeDecodeError):
            snapshots = [path for path in (folder / "snapshots").glob("*") if path.is_dir()]
            return snapshots[0] if len(snapshots) == 1 else None
    # A ref is content from elsewhere: it must name a folder beside the others and nothing more.
    if revision in ("", "..") or Path(revision).name != revision:
        return None
    snapshot = folder / "snapshots" / revision
    return snapshot if snapshot.is_dir() else None


def present(folder: Path, file: RequiredFile) -> Path:
    """The first of a file's accepted names that exists, else the preferred one."""
    return next((folder / name for name in file.names if (folder / name).exists()), folder / file.names[0])


def check(folder: Path, file: RequiredFile) -> str:
    """What keeps a required file from being used, in words, or an empty string."""
    path = present(folder, file)
    try:
        with path.open("rb") as opened:
            begin = opened.read(len(LFS_POINTER))
    except FileNotFoundError:
        return f"{' or '.join(file.names)} is {'a broken link' if path.is_symlink() else 'missing'}"
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror})"
    if not begin:
        return f"{path.name} is empty"
    return f"{path.name} is a pointer to a large file, not the file" if begin == LFS_POINTER else ""


def _locate_checkpoint(spec: ModelSpec) -> Location | NotFound:
    problems = []
    for name, cache in (("local", locations.local_cache()), ("whisper", locations.whisper_cache())):
        problem = check(cache, spec.files[0])
        if not problem:
            path = present(cache, spec.files[0])
            return Location(path.absolute(), spec.files[0].sha256[:12], name, path.stat().st_size)
        if not problem.endswith("missing"):
            problems.append(problem)
    what = f"{spec.files[0].names[0]} is unusable: {'; '.join(problems)}" if problems else ""
    return NotFound(
        what or f"{spec.files[0].names[0]} is not on this machine",
        f"fetch {spec.source} into {locations.whisper_cache()}",
    )
