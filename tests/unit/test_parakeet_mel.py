"""The mel spectrograms that Parakeet hears: never NaN from beyond the samples, and NeMo's where that was asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.base import BackendError, LoadOptions, Location, TranscribeOptions
from backends.nemo_mel import MelSettings, nemo_mel
from backends.parakeet.decoding import NOT_FINITE, SHORTEST, exact_settings, front_end, padded
from backends.parakeet.mlx import ParakeetExact, ParakeetMlx

pytest.importorskip("parakeet_mlx")
import parakeet_kinds

# Buffers full of NaN are made and freed, so that MLX hands them out again. Prints how many of the mel spectrograms of
# clips of awkward lengths have NaN in them.
PROVOKE = """
import sys
import mlx.core as mx
import numpy as np
from parakeet_mlx import parakeet
from parakeet_mlx.audio import PreprocessArgs
from backends.parakeet.decoding import front_end

arguments = PreprocessArgs(16000, "per_feature", 0.025, 0.01, "hann", 80, 512, 0.0)
random = np.random.default_rng(5)
bad = 0
def heard(audio):
    return bool(mx.isfinite(parakeet.get_logmel(audio, arguments)).all())
for number in range(60):
    length = 160 * int(random.integers(40, 120)) + int(random.integers(48, 160))
    audio = mx.array(random.normal(0, 0.1, length).astype(np.float32))
    mx.eval(audio)
    for size in range(length + 400, length + 1400, 50):
        mx.eval(mx.full((size,), float("nan")))
    if sys.argv[1] == "library":
        bad += not heard(audio)
    else:
        with front_end(None) as check:
            fine = heard(audio)
        assert fine == (not check.invalid)
        bad += not fine
print(bad)
"""

# One mel frame's worth of samples, over and over: as the library takes them, the process dies of damaged memory.
SHORT = """
import mlx.core as mx
import numpy as np
from parakeet_mlx import parakeet
from parakeet_mlx.audio import PreprocessArgs
from backends.parakeet.decoding import front_end

arguments = PreprocessArgs(16000, "per_feature", 0.025, 0.01, "hann", 80, 512, 0.0)
with front_end(None) as check:
    for length in [1, 100, 160, 200, 256, 257, 319] * 20:
        mx.eval(parakeet.get_logmel(mx.array(np.random.default_rng(1).normal(0, 0.1, length)), arguments))
assert not check.invalid
"""


def python(home: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def on_cpu() -> bool:
    import mlx.core as mx

    return mx.default_device().type == mx.DeviceType.cpu


@pytest.mark.skipif("not on_cpu()", reason="how often it happens on a GPU is not known")
def test_the_library_alone_reads_beyond_the_samples(tmp_path: Path) -> None:
    """Where this fails the library has been mended, and `padded` has lost its reason."""
    assert int(python(tmp_path, "-c", PROVOKE, "library")) > 0


def test_padding_keeps_it_from_that(tmp_path: Path) -> None:
    assert python(tmp_path, "-c", PROVOKE, "ours") == "0"


def test_clips_shorter_than_a_window(tmp_path: Path) -> None:
    assert python(tmp_path, "-c", SHORT) == ""


@pytest.mark.parametrize(
    ("length", "becomes"), [(0, SHORTEST), (1, SHORTEST), (320, 320), (321, 480), (32_000, 32_000), (32_159, 32_160)]
)
def test_padding(length: int, becomes: int) -> None:
    import mlx.core as mx

    audio = padded(mx.ones((length,)))
    assert audio.shape == (becomes,)
    assert audio.sum().item() == length


def test_a_bad_mel_in_any_run_makes_the_row_invalid(tmp_path: Path) -> None:
    """The logits are looked at in the first run only, the mel in all."""
    backend = opened(ParakeetMlx(), parakeet_kinds.write("tdt", tmp_path / "tdt"))
    samples = np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)
    assert backend.transcribe(samples, TranscribeOptions()).invalid == ""
    samples[100] = np.nan
    assert backend.transcribe(samples, TranscribeOptions()).invalid == NOT_FINITE


def opened(backend: ParakeetMlx, folder: Path, **chosen: str) -> ParakeetMlx:
    spec = backend.model("nano")
    assert spec is not None
    backend.import_library()
    backend.load(spec, Location(folder), LoadOptions(chosen=tuple(chosen.items())))
    return backend


@pytest.mark.parametrize("length", [16_000, 16_100, 159])
def test_exact_is_nemos(tmp_path: Path, length: int) -> None:
    """No zeros are added: NeMo gets the samples as they are, and its last frame would tell."""
    backend = opened(ParakeetExact(), parakeet_kinds.write("tdt", tmp_path / "tdt"))
    samples = np.random.default_rng(1).normal(0, 0.1, length).astype(np.float32)
    (heard,) = mels(backend, samples)
    expected = nemo_mel(np.pad(samples, (0, max(0, 160 - length))), MelSettings(bins=80))
    np.testing.assert_array_equal(heard, expected)


def test_exact_chunk_by_chunk(tmp_path: Path) -> None:
    folder = parakeet_kinds.write("tdt", tmp_path / "tdt")
    backend = opened(ParakeetExact(), folder, chunk_seconds="2", overlap_seconds="0.5")
    samples = np.random.default_rng(1).normal(0, 0.1, 56_100).astype(np.float32)
    heard = mels(backend, samples)
    assert len(heard) == 3
    for start, mel in zip((0, 24_000, 48_000), heard, strict=True):
        np.testing.assert_array_equal(mel, nemo_mel(samples[start : start + 32_000], MelSettings(bins=80)))


def mels(backend: ParakeetMlx, samples: Any) -> list[Any]:
    """What the model is given for a clip."""
    seen = []
    model = backend._model
    original = type(model).generate

    def watched(self: Any, mel: Any, **named: Any) -> Any:
        seen.append(np.array(mel[0]))
        return original(self, mel, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model), "generate", watched)
        backend.transcribe(samples, TranscribeOptions())
    return seen


def test_another_kind_of_mel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"preprocessor": {"normalize": "all_features"}}))
    with pytest.raises(BackendError, match=r"its exact mel spectrogram is not known .*normalize") as caught:
        exact_settings(tmp_path)
    assert caught.value.kind == "unsupported"


def test_the_library_is_left_as_it_was() -> None:
    from parakeet_mlx import parakeet

    before = parakeet.get_logmel
    with pytest.raises(ZeroDivisionError), front_end(None):
        assert parakeet.get_logmel is not before
        raise ZeroDivisionError
    assert parakeet.get_logmel is before
