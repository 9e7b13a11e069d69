"""Programs of macOS that transcribe: WhisperKit, FluidAudio, and Apple's own recogniser through `yap`.

None of them ever ran where this was written: they are written from the programs' own sources (WhisperKit 984ab42 of
2026-05-12, FluidAudio 8a2bf2c of 2026-08-19, yap 90d7654 of 2026-02-15) and tested with stand-ins that answer as those
do. A program keeps its models itself, where it looks for them; nothing here downloads one.

A clip is handed over as a WAV of 16 bits in a private folder, written before the clock starts where it can be.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends import catalogue
from backends.base import (
    SAMPLE_RATE,
    Availability,
    BackendError,
    DeviceMemory,
    Engine,
    Library,
    Loaded,
    LoadOptions,
    Location,
    ModelSpec,
    Segment,
    TranscribeOptions,
    Transcription,
    no_such_option,
)
from backends.checks import repetition_loop

if TYPE_CHECKING:
    from backends.base import Samples

MESSAGE_KEPT = 300
"""Characters of what a program said last that an error quotes."""

UNITS = ("all", "cpuOnly", "cpuAndGPU", "cpuAndNeuralEngine")


class Program(Library):
    """What these have alike.

    program: its name on PATH; install: what puts it there
    option_values: the options that it can be set to, each with its values; an empty tuple takes any
    """

    engine: Engine = "cpu"
    program = ""
    install = ""
    option_values: Mapping[str, tuple[str, ...]] = {}
    _folder: tempfile.TemporaryDirectory[str] | None = None
    _clips: tuple[tuple[Samples, Path], ...] = ()
    _chosen: Mapping[str, str] = {}
    _version = ""

    def availability(self) -> Availability:
        if shutil.which(self.program):
            return Availability(True, device="CoreML")
        return Availability(False, fix=self.install if sys.platform == "darwin" else "it runs on macOS only")

    def check_options(self, chosen: Sequence[tuple[str, str]]) -> None:
        for name, value in chosen:
            if name not in self.option_values:
                raise no_such_option(name, self.option_values)
            if (values := self.option_values[name]) and value not in values:
                raise BackendError(f"option {name} is {value!r}", f"choose from {', '.join(values)}", "option")

    def load(self, spec: ModelSpec, location: Location, options: LoadOptions) -> Loaded:
        self.check_options(options.chosen)
        self._chosen = dict(options.chosen)
        self._folder = tempfile.TemporaryDirectory(prefix="speedtest-program-")
        files, told, warnings = self.start(spec)
        names = tuple(str(file) for file in files)
        return Loaded("CoreML", "", None, None, spec.source, "", names, tuple(told.items()), warnings)

    def start(self, spec: ModelSpec) -> tuple[Sequence[Path], Mapping[str, str], tuple[str, ...]]:
        """Make the model ready; returns the files that it was read from, options in force, and warnings."""
        raise NotImplementedError

    def wav(self, samples: Samples) -> Path:
        """The file of a clip. The two that were asked for last are kept: a clip, and the pulse before its run."""
        import numpy as np

        assert self._folder is not None
        kept = [(clip, path) for clip, path in self._clips if clip is not samples]
        path = next((path for clip, path in self._clips if clip is samples), None)
        if path is None:
            path = Path(self._folder.name) / f"clip-{time.monotonic_ns()}.wav"
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(SAMPLE_RATE)
                file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
        for _, old in kept[:-1]:
            old.unlink(missing_ok=True)
        self._clips = (*kept[-1:], (samples, path))
        return path

    def answer(self, *arguments: str) -> str:
        """What the program prints, run to its end. Raises BackendError where it fails."""
        done = subprocess.run(
            [self.program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True,
            encoding="utf-8", errors="replace",
        )  # fmt: skip
        if done.returncode:
            raise self.failed(done.stderr or done.stdout, f"ended with code {done.returncode}")
        sys.stderr.write(done.stderr)
        return done.stdout

    def failed(self, said: str, what: str = "gave no result") -> BackendError:
        """An error that quotes the end of what the program said."""
        last = " ".join(said.split())[-MESSAGE_KEPT:]
        return BackendError(f"{self.program} {what}" + (f" ({last})" if last else ""), kind="error")

    def device_memory(self) -> DeviceMemory:
        """The largest resident size of any run of the program so far: what it holds is not this process's."""
        import resource

        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return DeviceMemory(peak=peak * (1 if sys.platform == "darwin" else 1024) or None)

    def close(self) -> None:
        self._clips = ()
        if self._folder is not None:
            self._folder.cleanup()


def segments_of(facts: Any, text: str, start: str = "start", end: str = "end") -> tuple[Segment, ...]:
    """Stretches of text in a program's JSON; those that are not understood are left out."""
    found = []
    for fact in facts if isinstance(facts, list) else ():
        with contextlib.suppress(KeyError, TypeError, ValueError):
            found.append(Segment(float(fact[start]), float(fact[end]), str(fact[text]).strip()))
    return tuple(found)


class WhisperKit(Program):
    """Argmax's Whisper on CoreML, as the server of its command line: its model stays loaded between runs."""

    name = "whisperkit"
    summary = "WhisperKit (CoreML, Neural Engine), through whisperkit-cli"
    program = "whisperkit-cli"
    install = "brew install whisperkit-cli"
    option_values = {"encoder": UNITS, "decoder": UNITS}
    _server: subprocess.Popen[bytes] | None = None
    _port = 0

    def model(self, size: str) -> ModelSpec | None:
        """The folder that the program itself downloads a model to (its HubApi.swift); the name is the catalogue's."""
        spec = catalogue.WHISPERKIT.get(size)
        if spec is None or self.folder(spec).is_dir():
            return spec
        name = spec.source.rpartition("/")[2].partition("_")[2]
        how = f"`whisperkit-cli transcribe --model {name} --audio-path FILE` downloads it"
        return ModelSpec(spec.kind, spec.source, english_only=spec.english_only, missing_reason=f"not there: {how}")

    @staticmethod
    def folder(spec: ModelSpec) -> Path:
        return Path("~/Documents/huggingface/models").expanduser() / spec.source

    def start(self, spec: ModelSpec) -> tuple[Sequence[Path], Mapping[str, str], tuple[str, ...]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        units = {name: self._chosen.get(name, "cpuAndNeuralEngine") for name in ("encoder", "decoder")}
        self._server = subprocess.Popen(
            [
                self.program, "serve", "--host", "127.0.0.1", "--port", str(self._port),
                "--model-path", str(self.folder(spec)),
                "--audio-encoder-compute-units", units["encoder"], "--text-decoder-compute-units", units["decoder"],
            ],
            stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(),
        )  # fmt: skip
        # It answers once the model is loaded (ServeCLI.swift), the first time on a machine after minutes of compiling.
        while not self._healthy():
            if self._server.poll() is not None:
                raise BackendError(
                    f"{self.program} serve ended with code {self._server.returncode} before its model was loaded",
                    f"see what it says: {self.program} serve --help; a build without a server cannot be raced",
                    "model",
                )
            time.sleep(0.02)
        files = sorted(path for path in self.folder(spec).rglob("*") if path.is_file())
        return files, {f"{name} units": value for name, value in units.items()}, ()

    def _healthy(self) -> bool:
        try:
            return self._ask("GET", "/health")[0] == 200
        except (OSError, HTTPException):
            return False

    def _ask(self, method: str, path: str, body: bytes = b"", boundary: str = "") -> tuple[int, bytes]:
        with contextlib.closing(HTTPConnection("127.0.0.1", self._port)) as connection:
            headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"} if boundary else {}
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        fields = {"response_format": "verbose_json", **({"language": options.language} if options.language else {})}
        boundary = "speedtest-tui-boundary"
        body = b"".join(_parts(fields, self.wav(samples).read_bytes(), boundary))
        try:
            status, said = self._ask("POST", "/v1/audio/transcriptions", body, boundary)
        except (OSError, HTTPException) as error:
            raise self.failed(str(error), "stopped answering") from error
        try:
            facts = json.loads(said)
            text = str(facts["text"]).strip()
        except (ValueError, KeyError, TypeError) as error:
            raise self.failed(said.decode("utf-8", "replace"), f"answered with status {status}") from error
        language = facts.get("language")
        return Transcription(
            text,
            segments_of(facts.get("segments"), "text"),
            language if isinstance(language, str) else "",
            invalid=repetition_loop(text),
            detected=options.language is None,
        )

    def device_memory(self) -> DeviceMemory:
        """The server's resident size now: it has not ended, so that the system keeps no peak of it yet."""
        if self._server is None:
            return DeviceMemory()
        asked = ["ps", "-o", "rss=", "-p", str(self._server.pid)]
        size = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout.strip()
        return DeviceMemory(peak=int(size) * 1024 if size.isdigit() else None)

    def close(self) -> None:
        if self._server is not None:
            self._server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(3)
        super().close()


def _parts(fields: Mapping[str, str], wav: bytes, boundary: str) -> Iterator[bytes]:
    """A form of fields and a file, as RFC 7578 has it."""
    for name, value in fields.items():
        yield f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    yield f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="clip.wav"\r\n'.encode()
    yield b"Content-Type: audio/wav\r\n\r\n" + wav + f"\r\n--{boundary}--\r\n".encode()


class FluidAudio(Program):
    """FluidInference's Parakeet on CoreML. Each run starts the program; the time is the one that it reports itself."""

    name = "fluidaudio"
    summary = "FluidAudio (Parakeet on CoreML, Neural Engine), through fluidaudiocli"
    program = "fluidaudiocli"
    install = "build it: git clone https://github.com/FluidInference/FluidAudio, swift build -c release, put it on PATH"
    option_values = {"precision": ("int8", "int8-v2", "int4")}
    _arguments: tuple[str, ...] = ()

    def model(self, size: str) -> ModelSpec | None:
        """The folder that the program itself downloads a model to (its AsrModels.swift)."""
        spec = catalogue.FLUIDAUDIO.get(size)
        if spec is None or self.folder(spec).is_dir():
            return spec
        how = f"`fluidaudiocli transcribe FILE --model-version {spec.variant}` downloads it"
        return ModelSpec(spec.kind, spec.source, english_only=spec.english_only, missing_reason=f"not there: {how}")

    @staticmethod
    def folder(spec: ModelSpec) -> Path:
        base = Path("~/Library/Application Support/FluidAudio/Models").expanduser()
        return base / spec.source.rpartition("/")[2].removesuffix("-coreml")

    def start(self, spec: ModelSpec) -> tuple[Sequence[Path], Mapping[str, str], tuple[str, ...]]:
        precision = self._chosen.get("precision", "int8")
        self._arguments = ("--model-version", spec.variant, "--encoder-precision", precision)
        files = sorted(path for path in self.folder(spec).rglob("*") if path.is_file())
        warning = (
            "each run starts the program and loads its model: the time is that of the work alone, as it reports it"
        )
        return files, {"encoder precision": precision}, (warning,)

    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        assert self._folder is not None
        report = Path(self._folder.name) / "report.json"
        report.unlink(missing_ok=True)
        language = ("--language", options.language) if options.language else ()
        said = self.answer(
            "transcribe", str(self.wav(samples)), *self._arguments, *language, "--output-json", str(report)
        )
        try:
            facts = json.loads(report.read_text(encoding="utf-8"))
            text, seconds = str(facts["text"]).strip(), float(facts["processingTimeSeconds"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self.failed(said) from error
        words = segments_of(facts.get("wordTimings"), "word", "startTime", "endTime")
        return Transcription(
            text, words=words, language=options.language or "", invalid=repetition_loop(text), reported_s=seconds
        )


class AppleSpeech(Program):
    """Apple's SpeechAnalyzer (macOS 26) through `yap`. Each run starts the program, and its time is the whole of that.

    The system keeps the model and chooses it by locale; nothing of it is told.
    """

    name = "apple-speech"
    summary = "Apple's SpeechAnalyzer (macOS 26), through yap"
    program = "yap"
    install = "brew install finnvoor/tools/yap (macOS 26)"
    models = catalogue.APPLE_SPEECH
    option_values = {"locale": ()}

    def start(self, spec: ModelSpec) -> tuple[Sequence[Path], Mapping[str, str], tuple[str, ...]]:
        import numpy as np

        # What the system has to fetch or to wake it does now, and not in the first timed run.
        with contextlib.suppress(BackendError):
            self._run(np.zeros(SAMPLE_RATE // 2, np.float32), None)
        told = {"locale": self._chosen["locale"]} if "locale" in self._chosen else {}
        return (), told, ("each run starts the program anew: its start is part of the time",)

    def transcribe(self, samples: Samples, options: TranscribeOptions) -> Transcription:
        facts = self._run(samples, options.language)
        segments = segments_of(facts.get("segments"), "text")
        text = " ".join(segment.text for segment in segments)
        about = facts.get("metadata")
        locale = str(about.get("language") or "") if isinstance(about, dict) else ""
        assumed = options.language is None and "locale" not in self._chosen
        warnings = ("it detects no language and took the system's: give --language",) if assumed else ()
        return Transcription(text, segments, locale.partition("-")[0], warnings, repetition_loop(text))

    def _run(self, samples: Samples, language: str | None) -> dict[str, Any]:
        locale = self._chosen.get("locale") or (LOCALES.get(language, language) if language else "")
        said = self.answer("transcribe", str(self.wav(samples)), "--json", *(("--locale", locale) if locale else ()))
        try:
            facts = json.loads(said)
        except ValueError as error:
            raise self.failed(said) from error
        if not isinstance(facts, dict):
            raise self.failed(said)
        return facts


LOCALES = {
    "en": "en_US", "de": "de_DE", "fr": "fr_FR", "es": "es_ES", "it": "it_IT", "pt": "pt_BR", "ja": "ja_JP",
    "ko": "ko_KR", "zh": "zh_CN", "yue": "yue_CN", "nl": "nl_NL", "sv": "sv_SE", "da": "da_DK", "no": "nb_NO",
    "fi": "fi_FI", "ru": "ru_RU", "tr": "tr_TR", "vi": "vi_VN", "th": "th_TH",
}  # fmt: skip
"""The locale that a language stands for: yap takes locales, and only such as the system's recogniser has."""
