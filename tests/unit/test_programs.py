"""Programs that transcribe, with stand-ins that answer as the real ones' sources say: none of those runs here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from backends.base import BackendError, LoadOptions, Location, TranscribeOptions
from backends.programs import AppleSpeech, FluidAudio, Program, WhisperKit

ECHO = "import json, sys, pathlib, wave; arguments = sys.argv[1:]\n"
"""Each stand-in notes what it was called with, and says how long the clip is that it was given."""

YAP = f"""{ECHO}
pathlib.Path(sys.argv[0] + ".called").write_text(json.dumps(arguments))
seconds = wave.open(arguments[1]).getnframes() / 16000
locale = arguments[arguments.index("--locale") + 1].replace("_", "-") if "--locale" in arguments else "fr-FR"
print(json.dumps({{"metadata": {{"duration": seconds, "language": locale}}, "segments": [
    {{"id": 1, "start": 0, "end": 1.5, "text": "Hello there,"}},
    {{"id": 2, "start": 1.5, "end": seconds, "text": "world."}}]}}))
"""

FLUID = f"""{ECHO}
pathlib.Path(sys.argv[0] + ".called").write_text(json.dumps(arguments))
print("Hello there.")
pathlib.Path(arguments[arguments.index("--output-json") + 1]).write_text(json.dumps({{
    "audioFile": arguments[1], "mode": "batch", "modelVersion": "v3", "text": "Hello there.", "durationSeconds": 2.0,
    "processingTimeSeconds": 0.025, "rtfx": 80.0, "confidence": 0.9,
    "wordTimings": [{{"word": "Hello", "startTime": 0.1, "endTime": 0.4, "confidence": 0.9}}]}}))
"""

KIT = f"""{ECHO}
import http.server
pathlib.Path(sys.argv[0] + ".called").write_text(json.dumps(arguments))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.answer({{"status": "ok"}})
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert b'name="response_format"' in body and b"RIFF" in body
        spoken = body.split(b'name="language"')[1].split()[0].decode() if b'name="language"' in body else "en"
        self.answer({{"task": "transcribe", "language": spoken, "duration": 2.0, "text": " Hello there.", "words": [],
                      "segments": [{{"id": 0, "start": 0.0, "end": 1.9, "text": " Hello there."}}]}})
    def answer(self, facts):
        text = json.dumps(facts).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(text))); self.end_headers()
        self.wfile.write(text)
port = int(arguments[arguments.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

CLIP = np.zeros(32_000, np.float32)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for stand-ins on PATH, and a home in which their models are."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "bin").mkdir()
    (tmp_path / "Documents/huggingface/models/argmaxinc/whisperkit-coreml/openai_whisper-base").mkdir(parents=True)
    (tmp_path / "Library/Application Support/FluidAudio/Models/parakeet-tdt-0.6b-v3").mkdir(parents=True)
    return tmp_path / "bin"


def put(folder: Path, name: str, code: str) -> None:
    program = folder / name
    program.write_text(f"#!{sys.executable}\n{code}")
    program.chmod(0o755)


def called(folder: Path, name: str) -> list[str]:
    return [str(word) for word in json.loads((folder / f"{name}.called").read_text())]


def loaded(backend: Program, size: str, *chosen: tuple[str, str]) -> tuple[str, ...]:
    """Load a model of it; returns the warnings."""
    spec = backend.model(size)
    assert spec is not None and not spec.missing_reason
    return backend.load(spec, Location(None, cache="bundled"), LoadOptions(chosen=chosen)).warnings


def test_apple_speech(stand_in: Path) -> None:
    put(stand_in, "yap", YAP)
    backend = AppleSpeech()
    assert backend.availability().ok
    (warning,) = loaded(backend, "base")
    assert "its start is part of the time" in warning
    found = backend.transcribe(CLIP, TranscribeOptions("en"))
    assert (found.text, found.language) == ("Hello there, world.", "en")
    assert [(part.start, part.end) for part in found.segments] == [(0.0, 1.5), (1.5, 2.0)]
    assert called(stand_in, "yap")[2:] == ["--json", "--locale", "en_US"]
    assert "give --language" in backend.transcribe(CLIP, TranscribeOptions()).warnings[0]
    backend.close()


def test_the_time_of_fluidaudio_is_the_one_it_reports(stand_in: Path) -> None:
    put(stand_in, "fluidaudiocli", FLUID)
    backend = FluidAudio()
    (warning,) = loaded(backend, "parakeet-tdt-0.6b-v3", ("precision", "int4"))
    assert "as it reports it" in warning
    found = backend.transcribe(CLIP, TranscribeOptions("de"))
    assert (found.text, found.reported_s, found.words[0].text) == ("Hello there.", 0.025, "Hello")
    words = called(stand_in, "fluidaudiocli")
    assert words[words.index("--encoder-precision") + 1] == "int4"
    assert words[words.index("--language") + 1] == "de"
    backend.close()


def test_whisperkit_stays_loaded(stand_in: Path) -> None:
    put(stand_in, "whisperkit-cli", KIT)
    backend = WhisperKit()
    loaded(backend, "base", ("encoder", "cpuAndGPU"))
    words = called(stand_in, "whisperkit-cli")
    assert words[0] == "serve"
    assert words[words.index("--audio-encoder-compute-units") + 1] == "cpuAndGPU"
    for language, detected in ((None, True), ("de", False)):
        found = backend.transcribe(CLIP, TranscribeOptions(language))
        assert (found.text, found.language, found.detected) == ("Hello there.", language or "en", detected)
        assert found.segments[0].end == 1.9
    assert (backend.device_memory().peak or 0) > 1_000_000
    (server,) = (child for child in psutil.Process().children() if "whisperkit-cli" in " ".join(child.cmdline()))
    server.kill()
    server.wait(5)
    with pytest.raises(BackendError, match="stopped answering"):
        backend.transcribe(CLIP, TranscribeOptions())
    backend.close()


def test_a_model_that_the_program_has_not_downloaded_says_how(stand_in: Path) -> None:
    for backend, size, words in (
        (WhisperKit(), "small.en", "whisperkit-cli transcribe --model whisper-small.en"),
        (FluidAudio(), "base", "fluidaudiocli transcribe FILE --model-version v2"),
    ):
        spec = backend.model(size)
        assert spec is not None
        assert words in spec.missing_reason
    assert WhisperKit().model("nano") is None


@pytest.mark.parametrize("code", ["print('no JSON')", "import sys; sys.exit('out of luck')", "print('[1]')"])
@pytest.mark.parametrize(("name", "backend", "size"), [
    ("yap", AppleSpeech, "base"), ("fluidaudiocli", FluidAudio, "parakeet-tdt-0.6b-v3"),
])  # fmt: skip
def test_what_a_program_says_instead_of_a_result_is_quoted(
    stand_in: Path, code: str, name: str, backend: type[Program], size: str
) -> None:
    put(stand_in, name, code)
    made = backend()
    loaded(made, size)
    with pytest.raises(BackendError, match=name) as raised:
        made.transcribe(CLIP, TranscribeOptions())
    assert "Traceback" not in str(raised.value)


def test_a_server_that_ends_before_it_is_ready(stand_in: Path) -> None:
    put(stand_in, "whisperkit-cli", "import sys; sys.exit(64)")
    with pytest.raises(BackendError, match="ended with code 64"):
        loaded(WhisperKit(), "base")


@pytest.mark.parametrize("backend", [WhisperKit, FluidAudio, AppleSpeech])
def test_options_and_programs_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: type[Program]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not backend().availability().ok
    with pytest.raises(BackendError, match="no option is called 'speed'"):
        backend().check_options([("speed", "1")])


def test_a_clip_is_written_once_and_old_pulses_go(stand_in: Path) -> None:
    put(stand_in, "yap", YAP)
    backend = AppleSpeech()
    loaded(backend, "base")
    path = backend.wav(CLIP)
    for _ in range(3):
        backend.wav(CLIP[:100].copy())
        assert backend.wav(CLIP) == path
    assert len(list(path.parent.glob("*.wav"))) == 2
    backend.close()
    assert not path.parent.exists()
