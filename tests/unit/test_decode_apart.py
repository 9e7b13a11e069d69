"""Files are decoded in a child process: a crash, an endless loop or a cancellation costs one sentence."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from audio_files import MAKERS, tone

from speedtest_tui.core.audio import decode
from speedtest_tui.core.audio.decode import load_clip
from speedtest_tui.core.errors import UserError


@pytest.mark.parametrize("ending", MAKERS)
def test_the_child_decodes_what_this_process_would(tmp_path: Path, ending: str) -> None:
    MAKERS[ending](tmp_path / f"a.{ending}")
    there, here = load_clip(tmp_path / f"a.{ending}"), load_clip(tmp_path / f"a.{ending}", apart=False)
    assert np.array_equal(there.samples, here.samples)
    assert (there.name, there.warnings, there.speech) == (here.name, here.warnings, here.speech)


def test_its_refusals_are_those_of_this_process(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("hello")
    lines = []
    for apart in (True, False):
        with pytest.raises(UserError) as refused:
            load_clip(tmp_path / "a.wav", apart=apart)
        lines.append(str(refused.value))
    assert lines[0] == lines[1]
    assert "it looks like text" in lines[0]


@pytest.mark.usefixtures("any_name")
def test_a_name_that_is_no_unicode(tmp_path: Path) -> None:
    path = tmp_path / "a\udce9\n.wav"
    soundfile.write(tmp_path / "a.wav", tone(16_000), 16_000)
    (tmp_path / "a.wav").rename(path)
    assert load_clip(path).name == "a\\xe9\\n.wav"


def child_that(monkeypatch: pytest.MonkeyPatch, folder: Path, does: str) -> None:
    """Another program takes the decoder's place: what PyAV does to some files cannot be had of every version of it."""
    module = "decoder_that_misbehaves"
    (folder / f"{module}.py").write_text(
        f"import os, time\nfrom speedtest_tui.core.process.child import serve\n"
        f"def work(parent):\n    parent.commands()\n    {does}\nserve(work)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    monkeypatch.setattr(decode.decoder, "__name__", module)


@pytest.mark.parametrize(
    ("does", "line"),
    [
        ("os.abort()", r"reading .*a\.wav ended early: aborted \(SIGABRT\).*: convert it to WAV or FLAC"),
        ("os.kill(os.getpid(), 11)", "ended early: crashed"),
        ("os._exit(3)", "ended early: ended with exit code 3"),
        ("raise MemoryError", "ran out of memory"),
        ("time.sleep(60)", r"got stuck: nothing happened for 0\.5 s: convert it"),
    ],
)
def test_a_decoder_that_fails_costs_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, line: str
) -> None:
    soundfile.write(tmp_path / "a.wav", tone(16_000), 16_000)
    child_that(monkeypatch, tmp_path, does)
    monkeypatch.setattr(decode, "STALL_S", 0.5 if "sleep" in does else 30.0)
    with pytest.raises(UserError, match=line) as refused:
        load_clip(tmp_path / "a.wav")
    assert "\n" not in str(refused.value)


def test_it_can_be_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", tone(16_000), 16_000)
    child_that(monkeypatch, tmp_path, "time.sleep(60)")
    cancelled, caught = threading.Event(), []

    def load() -> Any:
        try:
            load_clip(tmp_path / "a.wav", cancelled=cancelled)
        except UserError as error:
            caught.append(str(error))

    thread = threading.Thread(target=load)
    thread.start()
    cancelled.set()
    thread.join(20)
    assert not thread.is_alive()
    assert "was cancelled" in caught[0]


def test_quicktime_sound_of_eight_channels_does_not_end_the_program(tmp_path: Path) -> None:
    """PyAV 18.1 aborts on it; whatever another version does, this process lives on."""
    import av

    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("pcm_s16le", rate=48_000, layout="7.1")
        packed = np.tile((tone(48_000) * 32767).astype(np.int16)[:, None], (1, 8)).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout="7.1")
        frame.sample_rate = 48_000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    try:
        clip = load_clip(path)
    except UserError as error:
        assert "ended early" in str(error) and str(error).isprintable()
    else:
        assert clip.seconds == pytest.approx(1.5, abs=0.01)
