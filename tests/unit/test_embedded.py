"""The embedded Whisper: expanded, and read by the real libraries in every layout."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from backends.embedded import layouts, nano, tokenizer, whisper

ROOT = Path(__file__).resolve().parents[2]
STRINGS = (
    "which is the fastest transcription on my mac",
    " Hello, world! It's 12:34 o'clock; they'll've gone.",
    "naïve café — “quotes” … 東京 😀  two  spaces\n\nand\ttabs ",
    "antidisestablishmentarianism supercalifragilistic 1234567890",
    "",
)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of the layouts that need no library."""
    folders = {layout: tmp_path_factory.mktemp(layout) for layout in ("hf", "mlx", "ct2", "ggml")}
    for layout, folder in folders.items():
        layouts.write(f"nano/{layout}", folder)
    return folders


@pytest.fixture(scope="session")
def openai_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("openai")
    assert layouts.write("nano/openai", folder) == ("nano.en.pt",)
    return folder


def test_expand_gives_whole_whisper() -> None:
    sizes, weights = nano.dims(), nano.expand()
    assert tuple(sizes) == nano.DIMENSIONS
    assert {value.dtype for value in weights.values()} == {np.dtype(np.float16)}
    assert weights[nano.EMBEDDING].shape == (51864, 96)
    assert weights[nano.POSITIONS].shape == (1500, 96)
    assert weights["decoder.positional_embedding"].shape == (448, 96)
    assert len(weights) == 89


def test_unlisted_tokens_share_one_row() -> None:
    embedding, listed = nano.expand()[nano.EMBEDDING], nano.token_ids()
    others = np.delete(embedding, listed, axis=0)
    assert (others == others[0]).all()
    assert len(np.unique(embedding[listed], axis=0)) == len(listed)
    assert {tokenizer.ENDOFTEXT, tokenizer.START, tokenizer.NO_SPEECH, tokenizer.NO_TIMESTAMPS} <= set(listed)


def test_positions_are_whispers() -> None:
    whisper = pytest.importorskip("whisper_mps.whisper.torch_whisper")
    assert np.abs(nano.sinusoids(1500, 96) - whisper.sinusoids(1500, 96).numpy()).max() < 1e-3


def test_source_hash_is_of_the_file() -> None:
    expected = hashlib.sha256(nano.SOURCE.read_bytes()).hexdigest()
    assert {layouts.source_sha256(f"nano/{layout}") for layout in ("hf", "mlx", "openai", "ct2", "ggml")} == {expected}


@pytest.mark.parametrize("layout", ["hf", "mlx", "ct2", "ggml"])
def test_layouts_are_the_same_bytes_each_time(layout: str, written: dict[str, Path], tmp_path: Path) -> None:
    # In a process of its own: another hash seed, another order of whatever has none.
    arguments = f"'nano/{layout}', Path('.')"
    script = f"from pathlib import Path; from backends.embedded import layouts; layouts.write({arguments})"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(layouts.files(f"nano/{layout}"))
    for name in layouts.files(f"nano/{layout}"):
        assert (tmp_path / name).read_bytes() == (written[layout] / name).read_bytes(), name


def test_writing_imports_no_model_library(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; import speedtest_tui.core.models.builtin; "
        "from backends.embedded import layouts; early = set(sys.modules); "
        "layouts.write('nano/hf', Path('.')); print(sorted(early & {'numpy', 'safetensors'}), "
        "sorted({'torch', 'mlx', 'transformers', 'tokenizers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[] []"


def test_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="known: nano/hf, nano/mlx, nano/openai, nano/ct2, nano/ggml, parakeet"):
        layouts.write("gguf", tmp_path)


def test_mlx_whisper_loads_every_key(written: dict[str, Path]) -> None:
    whisper = pytest.importorskip("mlx_whisper.whisper")
    mx = pytest.importorskip("mlx.core")
    config = json.loads((written["mlx"] / "config.json").read_text())
    assert config.pop("model_type") == "whisper"
    model = whisper.Whisper(whisper.ModelDimensions(**config), mx.float16)
    weights = mx.load(str(written["mlx"] / "weights.safetensors"))
    model.load_weights(list(weights.items()), strict=True)
    assert not model.is_multilingual
    assert {value.dtype for name, value in weights.items() if name != "alignment_heads"} == {mx.float16}
    assert weights["alignment_heads"].tolist() == [[1, 0], [1, 1], [1, 2], [1, 3]]


def test_openai_layout_loads_every_key(openai_folder: Path) -> None:
    torch = pytest.importorskip("torch")
    whisper = pytest.importorskip("whisper_mps.whisper.torch_whisper")
    checkpoint = torch.load(openai_folder / "nano.en.pt", weights_only=True)
    sizes = whisper.ModelDimensions(**checkpoint["dims"])
    assert dataclasses.asdict(sizes) == nano.dims()
    assert {value.dtype for value in checkpoint["model_state_dict"].values()} == {torch.float16}
    whisper.Whisper(sizes).load_state_dict(checkpoint["model_state_dict"], strict=True)


def test_transformers_loads_every_key(written: dict[str, Path]) -> None:
    transformers = pytest.importorskip("transformers")
    model, report = transformers.WhisperForConditionalGeneration.from_pretrained(
        written["hf"], output_loading_info=True, local_files_only=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert not report["mismatched_keys"]
    assert model.proj_out.weight.data_ptr() == model.model.decoder.embed_tokens.weight.data_ptr()
    generation = model.generation_config
    assert generation.is_multilingual is False
    assert (generation.decoder_start_token_id, generation.no_timestamps_token_id) == (50257, 50362)
    assert (generation.eos_token_id, generation.pad_token_id) == (50256, 50256)
    assert generation.begin_suppress_tokens == [220, 50256]
    expected = transformers.models.whisper.configuration_whisper.NON_SPEECH_TOKENS
    assert set(expected) <= set(generation.suppress_tokens)


def test_transformers_tokenizer_agrees_with_whisper(written: dict[str, Path]) -> None:
    transformers = pytest.importorskip("transformers")
    whisper = pytest.importorskip("mlx_whisper.tokenizer")
    ours = transformers.AutoTokenizer.from_pretrained(written["hf"], local_files_only=True)
    theirs = whisper.get_encoding("gpt2")
    assert type(ours).__name__.startswith("WhisperTokenizer")
    assert len(ours) == theirs.n_vocab == tokenizer.VOCABULARY
    for text in STRINGS:
        ids = ours.encode(text, add_special_tokens=False)
        assert ids == theirs.encode(text)
        assert ours.decode(ids) == text
    specials = {name: theirs.encode_single_token(name) for name in theirs.special_tokens_set}
    assert {name: ours.convert_tokens_to_ids(name) for name in specials} == specials
    # transformers finds the first timestamp one above the last special token.
    assert ours.all_special_ids[-1] == tokenizer.NO_TIMESTAMPS
    assert (ours.pad_token_id, ours.eos_token_id) == (50256, 50256)


def test_merges_are_gpt2s() -> None:
    known, found = tokenizer.ranks(), tokenizer.merges()
    assert len(found) == 50_000  # GPT-2 has that many; 256 bytes and the end of text make its 50,257 tokens
    assert all(left in known and right in known for left, right in found)
    assert found[:3] == [(b" ", b"t"), (b" ", b"a"), (b"h", b"e")]  # the first lines of GPT-2's own merges file


def test_names_are_all_renamed() -> None:
    assert len(set(whisper.hf_parameters(nano.expand()))) == len(nano.expand())
    assert not [
        name for name in whisper.hf_parameters(nano.expand()) if "blocks" in name or "mlp" in name or "_ln" in name
    ]
    assert not [name for name in whisper.mlx_parameters(nano.expand(), [[1, 0]]) if ".mlp." in name]


def test_demo_clip_is_healthy() -> None:
    soundfile = pytest.importorskip("soundfile")
    samples, rate = soundfile.read(nano.SOURCE.with_name("demo.flac"), dtype="float32")
    assert (rate, samples.ndim) == (16_000, 1)
    assert 3 < len(samples) / rate < 6
    assert 0.6 < np.abs(samples).max() < 0.8
    words = nano.SOURCE.with_name("demo.txt").read_text().split()
    assert words
    assert words == " ".join(words).lower().split()


def test_demo_is_heard_word_for_word(written: dict[str, Path]) -> None:
    """By the two libraries that read a folder as it is; whisper-mps is heard where its backend is tested."""
    mlx_whisper = pytest.importorskip("mlx_whisper")
    transformers = pytest.importorskip("transformers")
    soundfile = pytest.importorskip("soundfile")
    samples, rate = soundfile.read(nano.SOURCE.with_name("demo.flac"), dtype="float32")
    expected = nano.SOURCE.with_name("demo.txt").read_text().split()
    heard = mlx_whisper.transcribe(samples, path_or_hf_repo=str(written["mlx"]), temperature=0.0, language="en")
    assert heard["text"].lower().split() == expected
    pipeline = transformers.pipeline("automatic-speech-recognition", model=str(written["hf"]), dtype="float32")
    clips = [{"raw": samples, "sampling_rate": rate} for _ in range(2)]
    for result in pipeline(clips, batch_size=2, chunk_length_s=20, return_timestamps=False):
        assert result["text"].lower().split() == expected


def load_export() -> ModuleType:
    """Import tools/nano/export.py, which is a program and in no package."""
    spec = importlib.util.spec_from_file_location("nano_export", ROOT / "tools" / "nano" / "export.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_export_is_the_inverse_of_expand(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    export, expanded, listed = load_export(), nano.expand(), nano.token_ids()
    shared = next(token for token in range(nano.dims()["n_vocab"]) if token not in set(listed))
    weights: dict[str, Any] = {name: torch.from_numpy(value).float() for name, value in expanded.items()}
    weights[nano.EMBEDDING] = weights[nano.EMBEDDING][[*listed, shared]]
    torch.save({"weights": weights, "used": listed, "dims": nano.dims()}, tmp_path / "in.pt")

    read = export.read(tmp_path / "in.pt")
    (tmp_path / "out.safetensors").write_bytes(export.compact(*read))
    export.check(tmp_path / "out.safetensors", *read[:2])
    again = nano.expand(tmp_path / "out.safetensors")
    assert again.keys() == expanded.keys()
    assert all(np.array_equal(again[name], value) for name, value in expanded.items())
    assert nano.dims(tmp_path / "out.safetensors") == nano.dims()
    assert export.compact(*read) == export.compact(*read)


def test_export_refuses_what_is_no_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    export = load_export()
    (tmp_path / "in.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(export.ExportError, match="is not a checkpoint of train"):
        export.read(tmp_path / "in.pt")
