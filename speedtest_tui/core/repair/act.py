"""Taking one step: each looks again whether it is still needed, and goes back to nothing where it fails."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from speedtest_tui.core import disk, removal
from speedtest_tui.core.download.request import Request
from speedtest_tui.core.errors import UserError
from speedtest_tui.core.models import builtin, layout
from speedtest_tui.core.models.locks import briefly, holding, lock_of
from speedtest_tui.core.models.structure import problem
from speedtest_tui.core.repair.changes import Changes, Escape
from speedtest_tui.core.repair.copying import (
    Cancelled,
    Tell,
    are_equal,
    copy,
    copy_of,
    move,
    require_digest,
    source_of,
)
from speedtest_tui.core.repair.step import Step, StepKind


class NotNeeded(Exception):
    """The step is not needed any more; the text says why."""


def act(step: Step, changes: Changes, tell: Tell, cancelled: threading.Event) -> None:
    """Take a step that is no download. Raises NotNeeded, Cancelled, UserError or OSError."""
    if cancelled.is_set():
        raise Cancelled
    if step.kind in ("clear-lock", "clear-partial"):
        _clear(step, changes)
        return
    with holding(step.lock, briefly(cancelled)):
        ACTIONS[step.kind](step, changes, tell, cancelled)


def prepare_download(step: Step, changes: Changes, tell: Tell, cancelled: threading.Event) -> Request:
    """Keep what a download is about to replace, and return what to ask for. Raises as `act`.

    A folder where a file belongs, and a link to nowhere in a repository's place, have to go first. Of a repository its
    lists of files may be replaced as well; `changes.forget_unchanged` forgets those that were not.
    """
    assert step.request is not None
    repository = layout.repository_folder(step.root, step.request.source) if step.request.is_hub else None
    for path in sorted((repository / layout.LISTS).glob("*.json")) if repository and repository.is_dir() else ():
        with contextlib.suppress(Escape):  # a download refuses to pass such links, too
            changes.keep(path, step.root)
    for path in step.replaces:
        if (path.is_dir() and not path.is_symlink()) or (path.is_symlink() and path == step.path and not path.exists()):
            changes.remove(path, step.root)
        elif os.path.lexists(path):
            changes.keep(path, step.root)
    if step.request.is_hub or not step.path.is_file():
        return step.request
    with holding(step.lock, briefly(cancelled)):
        _begin_with(step.path, step.root, changes, tell, cancelled)
    # With a trash of its own, a download does not continue the damaged file in place, which the trash has as well.
    return replace(step.request, trash=changes.replaced_folder(step.path, step.root))


def shared_payloads(step: Step) -> tuple[tuple[Path, Path], ...]:
    """Of the files that a download replaces those that lie in the shared store: the blob, and the payload."""
    pairs = [(path, layout.first_hop(path)) for path in step.replaces if path.is_symlink()]
    return tuple((blob, store) for blob, store in pairs if layout.is_shared_target(store, step.root))


def repair_shared(step: Step, pairs: Sequence[tuple[Path, Path]], changes: Changes) -> None:
    """Let the payload in the shared store be what was downloaded, where that has become a blob of its own.

    Other repositories link to the payload, and huggingface_hub would link to it again, by its size alone.
    """
    for blob, store in pairs:
        if blob.is_file() and not blob.is_symlink() and not (store.exists() and store.samefile(blob)):
            with holding(lock_of(blob, step.root), briefly()):
                changes.name_again(store, step.root, blob)


def _begin_with(path: Path, root: Path, changes: Changes, tell: Tell, cancelled: threading.Event) -> None:
    """Let a checkpoint that was cut short be the beginning of its download: other programs write to the final name."""
    partial = layout.partial_of(path)
    found = problem(path, path.name)
    size = path.stat().st_size
    if found is None or found[0] != "truncated" or (partial.exists() and partial.stat().st_size >= size):
        return
    if (disk.free(path) or 0) > size:
        changes.build(partial, root, lambda new: copy_of(path, new, "", tell, cancelled))


def _relink(step: Step, changes: Changes, tell: Tell, cancelled: threading.Event) -> None:
    source = source_of(step)
    if layout.digest_of(step.text) is None:
        raise UserError(f"the right content of {step.path.name} is unknown", "download it again")
    is_checkpoint = step.lock is None
    blob = step.path if is_checkpoint else layout.blob_file(_repository(step), step.text)
    if source != blob:
        require_digest(source, step.text, tell, cancelled)
        target = _place_of(blob, source, step.root)
        changes.name_again(target, step.root, source, lambda new: copy_of(source, new, step.text, tell, cancelled))
    if not is_checkpoint and not _link(changes, step, os.path.relpath(blob, step.path.parent)) and source == blob:
        raise NotNeeded("the link is there")


def _place_of(blob: Path, source: Path, root: Path) -> Path:
    """What is to be replaced: the blob, or the damaged payload in the shared store that it leads to.

    What other repositories share is repaired for all of them; with a new blob here they would keep the damaged payload.
    """
    if blob.is_symlink():
        store = layout.first_hop(blob)
        if store != source and layout.is_shared_target(store, root):
            return store
    return blob


def _adopt(step: Step, changes: Changes, _tell: Tell, _cancelled: threading.Event) -> None:
    present = source_of(step)
    # The link's own text, so that the new name leads to the blob and not to another name of it.
    text = str(present.readlink()) if present.is_symlink() else present.name
    if present.parent != step.path.parent:
        raise UserError(f"{present} is in another folder than {step.path.name}", "check the folder by hand")
    if os.path.lexists(step.path) and not step.path.is_symlink():
        raise NotNeeded(f"{step.path.name} is there")
    if not _link(changes, step, text):
        raise NotNeeded("the link is there")


def _link(changes: Changes, step: Step, text: str) -> bool:
    """Make the step's path a link; False where it is that link already."""
    if step.path.is_symlink() and str(step.path.readlink()) == text:
        return False
    target = Path(os.path.normpath(step.path.parent / text))
    if not layout.is_within(target, step.root):
        raise UserError(f"a link to {target} would leave the cache", "nothing was changed")
    changes.link(step.path, step.root, text)
    return True


def _write_ref(step: Step, changes: Changes, _tell: Tell, _cancelled: threading.Event) -> None:
    if not layout.is_safe_part(step.text) or not layout.snapshot_folder(_repository(step), step.text).is_dir():
        raise UserError(f"the snapshot {step.text[:12]} is gone", "make a new plan")
    try:
        if disk.read_plain(step.path, 100)[0].decode() == step.text:
            raise NotNeeded("the ref is sound")
    except (OSError, UnicodeDecodeError):
        pass
    changes.write(step.path, step.root, step.text)


def _clear(step: Step, changes: Changes) -> None:
    """Move a lock or a partial download away, while its lock is ours: what is in use is left alone."""
    if not os.path.lexists(step.path):
        raise NotNeeded("it is gone")
    with holding(step.lock):
        if step.kind == "clear-partial" and not _is_orphan(step.path):
            raise NotNeeded("a download may still resume it")
        changes.remove(step.path, step.root)


def _is_orphan(partial: Path) -> bool:
    """Whether its file is there, or more of it beside it."""
    etag = layout.etag_of_partial(partial.name)
    if etag is None:
        return removal.is_leftover(partial.name)
    if os.path.lexists(partial.with_name(etag)):
        return True
    size = partial.stat().st_size
    others = (path for path in partial.parent.iterdir() if path != partial and path.name.startswith(f"{etag}."))
    return any(layout.etag_of_partial(path.name) == etag and path.stat().st_size >= size for path in others)


def _unpack(step: Step, changes: Changes, _tell: Tell, cancelled: threading.Event) -> None:
    if builtin.find(step.text, step.root) is not None:
        raise NotNeeded("it is whole")
    changes.remove(step.path, step.root)
    if builtin.unpack_apart(step.text, step.root, cancelled) is None:
        raise Cancelled


def _merge(step: Step, changes: Changes, tell: Tell, cancelled: threading.Event) -> None:
    keep = source_of(step)
    if keep.samefile(step.path):
        raise NotNeeded("they are one file already")
    if not are_equal(keep, step.path, tell, cancelled):
        raise UserError(f"{step.path} and {keep} are not equal", "make a new plan; nothing was changed")
    if step.text == "symlink":
        changes.link(step.path, step.root, str(keep.resolve()))
    else:
        changes.name_again(step.path, step.root, keep.resolve())


def _trash(step: Step, changes: Changes, _tell: Tell, _cancelled: threading.Event) -> None:
    if not os.path.lexists(step.path):
        raise NotNeeded("it is gone")
    changes.remove(step.path, step.root)


def _repository(step: Step) -> Path:
    return step.root / step.path.relative_to(step.root).parts[0]


Action = Callable[[Step, Changes, Tell, threading.Event], None]
ACTIONS: dict[StepKind, Action] = {
    "relink": _relink, "adopt": _adopt, "write-ref": _write_ref, "unpack": _unpack, "merge": _merge,
    "trash": _trash, "copy": copy, "move": move,
}  # fmt: skip
