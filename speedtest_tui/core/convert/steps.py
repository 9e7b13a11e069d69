"""The conversion itself, from an open archive to a complete folder. Runs in the child process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, TypeVar

from backends.base import how_to_install
from speedtest_tui import __version__
from speedtest_tui.core import disk
from speedtest_tui.core.convert import config as configuration
from speedtest_tui.core.convert import keymap, numbers, parity, parity_mlx, parity_torch, report, tokenizers
from speedtest_tui.core.convert.archive import Archive
from speedtest_tui.core.convert.checkpoint import Checkpoint
from speedtest_tui.core.convert.convert import Job, Stage
from speedtest_tui.core.convert.keymap import rules_of
from speedtest_tui.core.convert.numbers import SafetensorsFile
from speedtest_tui.core.convert.recipe import Recipe, recipe_of
from speedtest_tui.core.errors import UserError

WEIGHTS = "model_weights.ckpt"
SCRATCH = "archive.tar"
HASH_BLOCK = 4 * 2**20
FREE_MARGIN = 64 * 2**20

Result = TypeVar("Result")
Tell = Callable[[Stage, int, int], None]
"""Gets the stage's name, what is done of it and what there is to do."""


def convert(job: Job, tell: Tell) -> report.Report:
    """Fill the job's folder and return what conversion.json says. Raises UserError, OSError."""
    _refuse_missing_libraries()
    hashing = _Beside("sha256", lambda: _sha256(job.source))
    with Archive(job.source, job.folder / SCRATCH, partial(tell, "unpacking"), job.limit) as archive:
        recipe = recipe_of(configuration.read(archive))
        files = tokenizers.read_all(archive, recipe.tokenizer)
        checkpoint = Checkpoint(archive, WEIGHTS)
        rules = rules_of(recipe)
        left_out = keymap.check(rules, checkpoint)
        form = numbers.format_of(job.dtype, job.bits, rules)
        inputs = parity.random_inputs(recipe)
        # Hashing, writing and PyTorch's side of the proof go on beside each other; only MLX keeps to one thread.
        source = _Beside("PyTorch", lambda: parity_torch.run(recipe, checkpoint, inputs))
        _write(job.folder / "model.safetensors", rules, checkpoint, form, tell)
        saving = _Beside("to disk", lambda: _to_disk(job.folder / "model.safetensors"))
        for name, content in files.items():
            (job.folder / name).write_bytes(content)
        (job.folder / "config.json").write_text(_json(_config(recipe, form)), encoding="utf-8")
        tell("proving", 0, 0)
        result = parity_mlx.run(recipe, job.folder, inputs, exact=form.dtype == "float32" and not form.bits)
        figures = parity.compare(source.result(), result, form)
        parity.refuse_failed(figures)
        saving.result()
        archive_names = sorted(archive.members)
    used = {configuration.FILE, WEIGHTS, *files}
    done = report.Report(
        family=recipe.name,
        dtype=form.dtype,
        parameters=sum(rule.count for rule in rules),
        bits=form.bits or None,
        group_size=form.group or None,
        target=recipe.target,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        source=report.Source(job.source.name, job.source.stat().st_size, hashing.result()),
        keys=report.Keys(
            read=sum(len(rule.sources) for rule in rules),
            written=sum(len(numbers.plan(rule, form)) for rule in rules),
            skipped=tuple(left_out),
        ),
        plain_layers=tuple(rule.target for rule in rules if _left_plain(rule, form)),
        made_explicit=tuple(recipe.explicit),
        members_left_out=tuple(name for name in archive_names if name not in used),
        tokenizer_files=tuple(files),
        tools=_tools(),
        parity=report.Parity(parity.SEED, len(inputs.mel), figures),
    )
    report.write(job.folder, done)
    return done


def _write(path: Path, rules: Sequence[keymap.Rule], checkpoint: Checkpoint, form: numbers.Format, tell: Tell) -> None:
    """Write all parameters, one in memory at a time. Raises UserError, OSError."""
    plans = [numbers.plan(rule, form) for rule in rules]
    total = sum(tensor.bytes for plan in plans for tensor in plan)
    free = disk.free(path)
    if free is not None and total + FREE_MARGIN > free:
        raise UserError(
            f"the result needs {total / 1e6:.0f} MB and {free / 1e6:.0f} MB are free",
            "free some space or choose another folder",
        )
    done = 0
    with SafetensorsFile(path, [tensor for plan in plans for tensor in plan]) as file:
        for rule, plan in zip(rules, plans, strict=True):
            file.write(plan, numbers.encode(rule, keymap.build(rule, checkpoint), form))
            done += sum(tensor.bytes for tensor in plan)
            tell("converting", done, total)


def _to_disk(path: Path) -> None:
    """Flush a file while there is other work; the parent does it again and reports what goes wrong."""
    with contextlib.suppress(OSError):
        disk.sync_file(path)


def _config(recipe: Recipe, form: numbers.Format) -> dict[str, Any]:
    config = {**recipe.config, "tokenizer": tokenizers.without_prefix(recipe.config["tokenizer"])}
    if form.bits:
        config["quantization"] = {"group_size": form.group, "bits": form.bits}
    return config


def _left_plain(rule: keymap.Rule, form: numbers.Format) -> bool:
    """A layer that other widths would have let pack."""
    return bool(form.bits) and rule.kind in ("linear", "embedding") and not numbers.packed(rule, form)


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n"


def _tools() -> dict[str, str]:
    """Versions of what took part."""
    found = {"speedtest-tui": __version__, "python": platform.python_version()}
    for name in ("torch", "mlx", "parakeet-mlx", "numpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _refuse_missing_libraries() -> None:
    from importlib.util import find_spec

    for module, extra in (("yaml", "mlx"), ("mlx", "mlx"), ("parakeet_mlx", "mlx"), ("torch", "transformers")):
        if find_spec(module) is None:
            raise UserError(f"converting needs {module}, which is not installed", how_to_install(extra))


def _sha256(path: Path) -> str:
    """Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


class _Beside(threading.Thread, Generic[Result]):
    """Something that is computed in a thread of its own."""

    def __init__(self, name: str, compute: Callable[[], Result]) -> None:
        super().__init__(name=name, daemon=True)
        self._compute = compute
        self._result: list[Result] = []
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result.append(self._compute())
        except BaseException as error:
            self._error = error

    def result(self) -> Result:
        """Wait for it. Raises what the computation raised."""
        self.join()
        if self._error:
            raise self._error
        return self._result[0]
