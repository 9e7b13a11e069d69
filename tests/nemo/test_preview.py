"""Looking into a checkpoint before it is converted, in a child process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from checkpoints import Convert, checkpoint, members, pack

from speedtest_tui.core.convert.preview import Preview, look
from speedtest_tui.core.errors import UserError

READERS = {
    "ctc": ("Parakeet CTC", "parakeet-mlx", ("CTC head, 40 tokens",)),
    "hybrid": (
        "Parakeet TDT-CTC",
        "parakeet-mlx",
        ("LSTM of 1 layer × 12, joint 20, 40 tokens, 5 durations", "CTC head, 40 tokens"),
    ),
    "canary1": ("Canary", "canary-mlx", ("Transformer of 2 layers × 16, 104 tokens",)),
}


def seen(path: Path) -> Preview:
    found = look(path, threading.Event())
    assert found is not None
    return found


@pytest.mark.parametrize("name", READERS)
def test_family_sizes_and_formats(name: str) -> None:
    found = seen(checkpoint(name))
    assert (found.family, found.reader, found.decoders) == READERS[name]
    layers = "2 layers" if name == "ctc" else "1 layer"
    assert f"FastConformer of {layers} × 16, 8× subsampling" in found.encoder
    assert found.path == checkpoint(name) and found.bytes == checkpoint(name).stat().st_size
    assert [form.name for form in found.forms] == ["bfloat16", "float16", "float32", "8-bit", "4-bit"]
    assert found.forms[2].output_bytes == 4 * found.parameters
    assert all(form.output_bytes for form in found.forms if not form.problem)
    assert "runs it as bfloat16" in found.forms[2].note or found.reader == "canary-mlx"
    assert 300e6 < found.memory_bytes < min(1e9, found.memory_total)
    assert found.languages == (("spl_tokens", "en", "de") if name == "canary1" else ())
    assert len(found.tokenizers) == (3 if name == "canary1" else 1)


def test_what_it_says_is_what_comes_of_it(converted: Convert) -> None:
    pytest.importorskip("torch")
    found, done = seen(checkpoint("tdt")), converted("tdt:bfloat16")
    assert found.parameters == done.report.parameters
    assert found.family == done.report.family
    size = (done.folder / "model.safetensors").stat().st_size
    assert 0 <= size - found.forms[0].output_bytes < 20_000


def test_what_is_no_checkpoint_is_one_sentence(tmp_path: Path) -> None:
    (text := tmp_path / "text.nemo").write_text("hello")
    files = members("tdt")
    tokenizer = next(name for name in files if name.endswith("tokenizer.model"))
    cases = [
        (tmp_path / "none.nemo", "is no file"),
        (tmp_path, "is no file"),
        (text, "is no .nemo archive"),
        (pack(tmp_path / "a.nemo", {"./nothing": b""}), "holds no model_config.yaml"),
        (pack(tmp_path / "b.nemo", {k: v for k, v in files.items() if k != tokenizer}), "lacks .*tokenizer.model"),
        (pack(tmp_path / "c.nemo", {k: v for k, v in files.items() if "weights" not in k}), "holds no model_weights"),
        (pack(tmp_path / "d.nemo", {**files, "./model_config.yaml": b"target: a.B\n"}), "cannot be converted"),
    ]
    for path, said in cases:
        with pytest.raises(UserError, match=said) as caught:
            look(path, threading.Event())
        assert "\n" not in str(caught.value) and caught.value.todo


def test_a_look_can_be_given_up_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cancelled = threading.Event()
    cancelled.set()
    assert look(checkpoint("tdt"), cancelled) is None
    assert seen(checkpoint("tdt")).family == "Parakeet TDT"
    assert list(tmp_path.iterdir()) == []


def test_the_parent_imports_nothing_heavy() -> None:
    modules = "preview", "convert"
    code = "; ".join(f"import speedtest_tui.core.convert.{name}" for name in modules)
    code += "; import speedtest_tui.core.jobs.convert, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "mlx", "yaml", "parakeet_mlx"}
