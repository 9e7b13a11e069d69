"""Our mel spectrogram against NeMo's own preprocessor."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoints import CANARIES, FAMILIES, FIXTURES, reference, samples

from backends.nemo_mel import MelSettings, filterbank, nemo_mel, settings_of
from speedtest_tui.core.convert import config
from speedtest_tui.core.convert.archive import Archive

SOUNDS = ("speech", "noise", "silence", "short", "tone")
EXACT = 1e-5


@pytest.fixture(scope="module")
def stored() -> dict[str, np.ndarray]:
    with np.load(FIXTURES / "mel.npz") as file:
        return dict(file)


@pytest.mark.parametrize("bins", [80, 128])
@pytest.mark.parametrize("sound", SOUNDS)
def test_it_equals_nemo_in_float64(stored: dict[str, np.ndarray], sound: str, bins: int) -> None:
    found = nemo_mel(stored[f"{sound}.pcm"].astype(np.float32) / 32768, MelSettings(bins=bins))
    expected = stored[f"{sound}.{bins}.64"]
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= EXACT


@pytest.mark.parametrize("bins", [80, 128])
@pytest.mark.parametrize("sound", ["speech", "noise", "tone"])
def test_it_is_no_further_from_nemo_in_float32_than_that_is_from_float64(
    stored: dict[str, np.ndarray], sound: str, bins: int
) -> None:
    found = nemo_mel(stored[f"{sound}.pcm"].astype(np.float32) / 32768, MelSettings(bins=bins))
    rounding = np.abs(stored[f"{sound}.{bins}.32"] - stored[f"{sound}.{bins}.64"])
    difference = np.abs(found - stored[f"{sound}.{bins}.32"])
    assert difference.max() <= rounding.max() + EXACT
    assert difference.mean() <= EXACT


@pytest.mark.parametrize("name", FAMILIES)
def test_it_equals_what_the_models_of_the_fixtures_heard(name: str) -> None:
    found = nemo_mel(samples(name), MelSettings(bins=128 if name in CANARIES or name == "rnnt" else 80))
    expected = reference(name)["mel"]
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() <= EXACT


@pytest.mark.parametrize("count", [0, 1, 159, 160, 161, 320])
def test_clips_of_hardly_any_length_give_finite_frames(count: int) -> None:
    found = nemo_mel(np.full(count, 0.1, np.float32))
    assert found.shape == (count // 160, 80)
    assert np.isfinite(found).all()


def test_long_clips_are_the_same_in_blocks_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = np.random.default_rng(0).standard_normal(16_000 * 3).astype(np.float32) / 10
    found = nemo_mel(clip)
    monkeypatch.setattr("backends.nemo_mel.BLOCK_FRAMES", 7)
    assert np.abs(nemo_mel(clip) - found).max() <= 1e-6


def test_filters_are_those_of_librosa() -> None:
    librosa_filters = pytest.importorskip("librosa.filters")
    for bins in (64, 80, 128):
        expected = librosa_filters.mel(sr=16_000, n_fft=512, n_mels=bins, fmin=0, fmax=8000, norm="slaney")
        assert np.abs(filterbank(MelSettings(bins=bins)) - expected).max() <= 1e-8


def test_settings_follow_the_checkpoint(tmp_path: object) -> None:
    with Archive(FIXTURES / "rnnt.nemo", FIXTURES.parent / "unused.tar") as archive:
        found = settings_of(config.read(archive)["preprocessor"])
    assert found == MelSettings(bins=128)


@pytest.mark.parametrize(
    ("field", "value"),
    [("normalize", "all_features"), ("window", "hamming"), ("mag_power", 1.0), ("highfreq", 4000), ("log", False)],
)
def test_other_front_ends_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        settings_of({"features": 80, "window_size": 0.025, field: value})


def test_without_pre_emphasis_there_is_none() -> None:
    assert settings_of({"preemph": None}).preemphasis == 0
