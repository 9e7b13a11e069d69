"""Checking a model by loading it, in real child processes: whatever happens there comes back as one sentence."""

from __future__ import annotations

import hashlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from racing import entry, survivors
from toys import checked, faulty, hanging, well

from backends.base import BackendEntry, Location, ModelSpec, Transcription
from backends.checks import not_a_number, repetition_loop
from backends.registry import BUILT_IN, create
from speedtest_tui.core.codec import plain, typed
from speedtest_tui.core.jobs import verify as module
from speedtest_tui.core.jobs.job import JobView, words
from speedtest_tui.core.jobs.verify import Verify, tone, verify
from speedtest_tui.core.models.inspect import inspect_model
from speedtest_tui.core.models.status import Verification
from speedtest_tui.core.process import parent
from speedtest_tui.core.race import watch as stall

pytestmark = pytest.mark.usefixtures("toys")

STALL_S = 1.5
SPEC, HERE = ModelSpec("bundled", "toy/model"), Location(None, cache="bundled")


def check(
    toy: type, timeout: float | None = None, on_change: Callable[[str, float], None] = lambda *_: None
) -> Verification:
    found, _ = verify(entry(toy), SPEC, HERE, on_change, threading.Event(), timeout=timeout)
    assert found is not None
    return found


def none_left(mark: str) -> bool:
    """Whether all processes of a check have gone; one that was killed takes a moment to do so."""
    return not survivors(mark)


def test_a_model_that_loads(mark: str) -> None:
    told: list[tuple[str, float]] = []
    found = check(well.Well, on_change=lambda phase, seconds: told.append((phase, seconds)))
    assert (found.ok, found.message, found.path, found.stale) == (True, "loads and transcribes", "", False)
    assert found.checked_at.endswith("+00:00")
    assert len(found.fingerprint) == 64
    phases = list(dict.fromkeys(phase for phase, _ in told))
    assert phases[0] == "starting"
    assert phases == [p for p in ("starting", "importing", "loading", "loaded", "running", "resting") if p in phases]
    assert all(seconds >= 0 for _, seconds in told)
    assert none_left(mark)


@pytest.mark.parametrize(
    ("toy", "words"),
    [
        (faulty.RaisesInImport, ("ImportError: libmagic.so.7",)),
        (faulty.RaisesInLoad, ("ValueError: [load_npz] Input must be a zip file",)),
        (faulty.RaisesInTranscribe, ("RuntimeError: There is no Stream",)),
        (faulty.RaisesBaseException, ("SystemExit: a library that wants to leave",)),
        (faulty.RaisesWhenMade, ("no such device", "reinstall or remove")),
        (faulty.Explains, ("the weights are for another model: fetch them again",)),
        (faulty.OutOfMemory, ("ran out of memory",)),
        (faulty.Segfault, ("segmentation fault, SIGSEGV", "while it was loading its model")),
        (faulty.KillsItself, ("was killed (SIGKILL)", "memory runs out", "while it was transcribing a test tone")),
        (faulty.ExitsWithCode, ("exit code 3", "cannot open the secret device")),
        (faulty.ExitsQuietly, ("ended without a word",)),
        (faulty.ExitsWhenMadeInChild, ("exit code 9", "while it was starting")),
        (faulty.WritesGarbage, ("sent a line that is no message",)),
        (faulty.TextIsNone, ("unreadable message (Transcribed: ",)),
        (faulty.ClosesEverythingAndStays, ("went on running",)),
        (well.NotANumber, ("1 of 1 segments have NaN as their log-probability",)),
    ],
)
def test_what_goes_wrong_is_said(mark: str, toy: type, words: tuple[str, ...]) -> None:
    found = check(toy)
    assert not found.ok
    assert found.message.startswith("does not load: ")
    assert "\n" not in found.message
    for word in words:
        assert word in found.message
    assert found.seconds == 0.0
    assert none_left(mark)


def test_a_child_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(parent, "launch", refuse)
    assert check(well.Well).message == "does not load: its process could not be started (no more processes)"


@pytest.mark.parametrize("toy", [well.Silent, well.Strange, well.Warning, checked.Loops, faulty.FloodsStderr])
def test_what_is_heard_in_a_tone_does_not_matter(toy: type) -> None:
    assert check(toy).ok


@pytest.mark.parametrize(
    ("text", "invalid", "broken"),
    [
        ("", "", False),
        ("la " * 50, repetition_loop("la " * 50), False),
        ("la " * 50, not_a_number([float("nan")]), True),
        ("fine words", "the confidence is 7", True),
    ],
)
def test_numbers_count_and_words_do_not(text: str, invalid: str, broken: bool) -> None:
    heard = Transcription(text, invalid=invalid)
    assert bool(heard.invalid and not heard.looping) == broken
    assert typed(Transcription, plain(heard)) == heard


def test_a_long_complaint_is_cut() -> None:
    message = check(checked.ListsEveryTensor).message
    assert "unexpected parameters: encoder.blocks.0.attn" in message
    assert message.endswith("…")
    assert len(message) < 600


def test_a_slow_load_is_no_failure() -> None:
    assert checked.SlowDisk.SECONDS > 2 * STALL_S
    found = check(checked.SlowDisk, timeout=STALL_S)
    assert (found.ok, found.message) == (True, "loads and transcribes")
    assert found.seconds >= checked.SlowDisk.SECONDS


@pytest.mark.parametrize(
    ("toy", "words"),
    [
        (hanging.HangsInImport, f"nothing happened for {STALL_S} s while it was importing its library"),
        (hanging.HangsInLoad, f"nothing happened for {STALL_S} s while it was loading its model"),
        (hanging.HoldsTheLockInRun, f"nothing happened for {STALL_S} s while it was transcribing a test tone"),
        (hanging.HangsWithAGrandchild, f"nothing happened for {STALL_S} s while it was transcribing a test tone"),
        (hanging.LoopsForEver, f"busy for {2 * STALL_S:g} s without getting further while it was loading its model"),
    ],
)
def test_a_hang_is_given_up(mark: str, toy: type, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stall, "BUSY_FACTOR", 2)
    found = check(toy, timeout=STALL_S)
    assert (found.outcome, found.message) == ("gave-up", f"gave up: {words}: give it more with --timeout")
    assert none_left(mark)


def test_without_a_limit_the_one_of_races_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEFAULT_STALL_S", STALL_S)
    assert f"nothing happened for {STALL_S} s" in check(hanging.HangsInLoad).message


@pytest.mark.parametrize(
    ("toy", "phase"),
    [
        (well.Well, "starting"),
        (hanging.HangsInImport, "importing"),
        (hanging.HoldsTheLockInImport, "importing"),
        (hanging.IgnoresSigterm, "loading"),
        (hanging.HangsWithAGrandchild, "running"),
    ],
)
def test_cancel(toys: Path, mark: str, toy: type, phase: str) -> None:
    cancelled = threading.Event()

    def on_change(now: str, _seconds: float) -> None:
        if now == phase and (phase == "starting" or (toys.exists() and "hangs" in toys.read_text())):
            cancelled.set()

    assert verify(entry(toy), SPEC, HERE, on_change, cancelled) == (None, None)
    assert cancelled.is_set()
    assert none_left(mark)


def test_cancelled_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "launch", lambda *_, **__: pytest.fail("a child was started"))
    cancelled = threading.Event()
    cancelled.set()
    assert verify(entry(well.Well), SPEC, HERE, lambda *_: None, cancelled) == (None, None)


def test_what_a_library_left_running_is_ended(mark: str) -> None:
    assert check(hanging.LeavesAGrandchild).ok
    assert none_left(mark)


def test_a_listener_that_fails_leaves_no_child(mark: str) -> None:
    def on_change(phase: str, _seconds: float) -> None:
        if phase == "loading":
            raise RuntimeError("the screen is gone")

    with pytest.raises(RuntimeError, match="the screen is gone"):
        verify(entry(hanging.HangsInLoad), SPEC, HERE, on_change, threading.Event())
    assert none_left(mark)


def test_the_job_has_a_row_for_each_model_that_can_be_loaded(places: Path, mark: str) -> None:
    entries = (entry(well.Well), entry(faulty.RaisesInLoad), entry(checked.SaysSo))
    missing = inspect_model(entries[2], ModelSpec("hub", "org/missing"), ("tiny",))
    job = Verify([*(inspect_model(one, SPEC, ("tiny",)) for one in entries[:2]), missing], entries)
    seen: list[JobView] = []
    job.listener = seen.append
    job.run()
    good, bad = job.view.rows
    assert (good.title, good.state, good.backends) == ("Well model", "done", ("Well",))
    assert words(good).startswith("loads and transcribes, loaded in ")
    assert (bad.state, words(bad)) == ("failed", check(faulty.RaisesInLoad).message)
    assert {row.note for view in seen for row in view.rows} >= {"loading its model", "transcribing a test tone"}
    assert [one.ok for one in job.result or ()] == [True, False]
    assert (job.view.state, job.view.summary) == ("failed", f"1 verified, 1 failed: {bad.advice}")
    # What was found is remembered.
    assert [inspect_model(one, SPEC, ("tiny",)).verified is not None for one in entries[:2]] == [True, True]
    assert none_left(mark)


def test_a_result_that_cannot_be_kept_is_said(places: Path) -> None:
    (places / "data").write_text("in the way")
    job = Verify([inspect_model(entry(well.Well), SPEC, ("tiny",))], [entry(well.Well)])
    job.run()
    (one,) = job.result or ()
    assert one.ok and one.advice is not None
    assert "not kept: " in words(job.view.rows[0])


def test_cancelling_the_job_ends_its_child(places: Path, mark: str) -> None:
    entries = (entry(hanging.IgnoresSigterm), entry(well.Well))
    job = Verify([inspect_model(one, SPEC, ("tiny",)) for one in entries], entries)
    job.listener = lambda view: job.cancel() if view.rows[0].note == "loading its model" else None
    job.run()
    assert [row.state for row in job.view.rows] == ["cancelled", "cancelled"]
    assert (job.view.state, job.view.summary) == ("cancelled", "2 cancelled")
    assert none_left(mark)


@pytest.fixture
def requests() -> Iterator[tuple[str, list[str]]]:
    """A server in the place of the hub: its address, and the requests that have reached it."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
        server.shutdown()


@pytest.mark.parametrize("online", [False, True])
def test_a_check_cannot_start_a_download(
    places: Path, requests: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch, online: bool
) -> None:
    """Online, which checks never are, the same library does ask: else this test would see nothing either way."""
    pytest.importorskip("huggingface_hub")
    address, seen = requests
    monkeypatch.setenv("HF_ENDPOINT", address)
    if online:
        launch = parent.launch
        monkeypatch.setattr(parent, "launch", lambda *a, **options: launch(*a, **{**options, "online": True}))
    found = check(checked.Fetches)
    assert not found.ok
    assert bool(seen) == online


def test_the_tone() -> None:
    samples = np.frombuffer(tone(), "<f4")
    expected = 0.1 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert samples.shape == (16_000,)
    np.testing.assert_allclose(samples, expected, atol=1e-7)
    assert check(checked.SaysSo).message == f"does not load: float32 None 1 {hashlib.sha256(tone()).hexdigest()}"


def test_nothing_heavy_is_imported_here() -> None:
    code = "import sys\nfrom speedtest_tui.core.jobs import verify\nverify.tone()\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"numpy", "textual", "psutil", "filelock", "torch", "mlx"} & set(done.stdout.split())


def builtin(name: str) -> BackendEntry:
    return next(entry for entry in BUILT_IN if entry.name == name)


@pytest.fixture
def nano(unpacked: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of the nano model for mlx-whisper, to be damaged."""
    import shutil

    pytest.importorskip("mlx_whisper")
    return Path(shutil.copytree(unpacked("mlx"), tmp_path / "nano"))


def check_nano(folder: Path) -> Verification:
    mlx_whisper = builtin("mlx-whisper")
    spec = create(mlx_whisper.reference).model("nano")
    assert spec is not None
    found, _ = verify(mlx_whisper, spec, Location(folder, "nano", "embedded"), lambda *_: None, threading.Event())
    assert found is not None
    return found


def test_the_real_library(nano: Path) -> None:
    whole = check_nano(nano)
    assert (whole.ok, whole.message, whole.path) == (True, "loads and transcribes", str(nano))
    assert whole.seconds > 0
    weights = nano / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    cut = check_nano(nano)
    assert not cut.ok
    assert "safetensors" in cut.message
    assert cut.fingerprint != whole.fingerprint


def test_weights_that_are_no_numbers(nano: Path) -> None:
    from safetensors.numpy import load_file, save_file

    weights = nano / "weights.safetensors"
    arrays = load_file(weights)
    broken = {name: array * np.nan if name.startswith("encoder") else array for name, array in arrays.items()}
    save_file({name: broken[name].astype(array.dtype) for name, array in arrays.items()}, weights)
    found = check_nano(nano)
    assert not found.ok
    assert "NaN as their log-probability" in found.message
