"""Archives and checkpoints that must not be converted: one clear line, nothing left behind, nothing executed."""

from __future__ import annotations

import dataclasses
import gzip
import io
import os
import pickle
import pickletools
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from checkpoints import WEIGHTS, YAML, changed_weights, checkpoint, members, pack

from speedtest_tui.core.convert import archive, child, keymap, steps
from speedtest_tui.core.convert.convert import Job, convert
from speedtest_tui.core.errors import UserError

pytest.importorskip("torch")
pytest.importorskip("mlx.core")


def refused(source: Path, tmp_path: Path, limit: int = archive.LIMIT_BYTES) -> str:
    """Convert in this process, expecting one line; what it says."""
    folder = tmp_path / "building"
    folder.mkdir()
    with pytest.raises(UserError) as caught:
        steps.convert(steps.Job(source, folder, "float32", 0, limit), lambda *_: None)
    assert not (folder / "conversion.json").exists()
    assert not (folder / steps.SCRATCH).exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_yaml(tmp_path: Path, change: Callable[[str], str], name: str = "tdt") -> Path:
    files = members(name)
    files[YAML] = change(files[YAML].decode()).encode()
    return pack(tmp_path / "model.nemo", files)


def with_weights(tmp_path: Path, change: Callable[[dict[str, Any]], object], name: str = "tdt") -> Path:
    return pack(tmp_path / "model.nemo", members(name) | {WEIGHTS: changed_weights(name, change)})


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("content", [b"", b"no archive at all", bytes(10_240), b"PK\x03\x04" * 999, b"\x1f\x8b" * 99])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "model.nemo"
    source.write_bytes(content)
    assert "model.nemo is" in refused(source, tmp_path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_archives(tmp_path: Path, share: float, compressed: bool) -> None:
    source = pack(tmp_path / "model.nemo", members("tdt"), compressed=compressed)
    content = source.read_bytes()
    source.write_bytes(content[: int(len(content) * share)])
    assert "download it again" in refused(source, tmp_path)


@pytest.mark.parametrize(
    ("member", "says"),
    [
        (special("../evil", tarfile.REGTYPE), "leads out of its folder"),
        (special("a/../../evil", tarfile.REGTYPE), "leads out of its folder"),
        (special("/etc/evil", tarfile.REGTYPE), "leads out of its folder"),
        (special("a\\..\\evil", tarfile.REGTYPE), "leads out of its folder"),
        (special("link", tarfile.SYMTYPE, "/etc/passwd"), "holds a link"),
        (special("link", tarfile.LNKTYPE, "model_config.yaml"), "holds a link"),
        (special("device", tarfile.CHRTYPE), "no plain file"),
        (special("pipe", tarfile.FIFOTYPE), "no plain file"),
        (special("model_config.yaml", tarfile.REGTYPE), "twice"),
    ],
)
def test_unsafe_members(tmp_path: Path, member: tarfile.TarInfo, says: str) -> None:
    assert says in refused(pack(tmp_path / "model.nemo", members("tdt"), member), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.nemo", "building"}


def test_a_compressed_archive_that_grows_without_end(tmp_path: Path) -> None:
    source = tmp_path / "bomb.nemo"
    # gzip members may follow each other: 16 KB that become 16 MiB, again and again.
    source.write_bytes(gzip.compress(bytes(16 * 2**20), 9) * 100)
    assert "unpacks to more than" in refused(source, tmp_path)


def test_the_limit_holds_for_plain_archives_too(tmp_path: Path) -> None:
    source = pack(tmp_path / "model.nemo", members("tdt"))
    assert "would unpack to more than" in refused(source, tmp_path, limit=50_000)


def test_a_yaml_without_end(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    source = pack(tmp_path / "model.nemo", {YAML: "\n".join(lines).encode()})
    assert "aliases" in refused(source, tmp_path)


@pytest.mark.parametrize(
    "yaml",
    [
        b"a: " + b"[" * 50_000, b"a: " + b"[" * 200 + b"]" * 200, b"a: [" + b"x," * 1_200_000 + b"]",
        b"a: [" + b"x," * 600_000 + b"]", b"".join(b" " * depth + b"a:\n" for depth in range(300)), b"{a: " * 5_000,
    ],
    ids=lambda yaml: ascii(yaml)[2:14] + str(len(yaml)),
)  # fmt: skip
def test_a_configuration_that_is_too_much(tmp_path: Path, yaml: bytes) -> None:
    source = pack(tmp_path / "model.nemo", members("tdt") | {"./model_config.yaml": yaml})
    assert "model_config.yaml" in refused(source, tmp_path)


LAYERS = ("encoder.n_layers", "decoder.prednet.pred_rnn_layers")


@pytest.mark.parametrize("field", LAYERS)
@pytest.mark.parametrize("value", [1_001, 1_000_000])
def test_more_layers_than_any_model_has(tmp_path: Path, field: str, value: int) -> None:
    """A million of them would be rules of nine gigabytes."""
    name = field.rpartition(".")[2]
    source = with_yaml(tmp_path, lambda text: re.sub(rf"{name}: \d+", f"{name}: {value}", text))
    assert f"model_config.yaml: {field} is {value:,}" in refused(source, tmp_path)


@pytest.mark.parametrize(
    "text", ["decoder: x", "preprocessor: {dither: nemo}", "model_defaults: [1]", "decoding: {greedy: 7}"]
)
def test_values_of_another_kind(tmp_path: Path, text: str) -> None:
    import yaml

    def change(given: str) -> str:
        settings, other = yaml.safe_load(given), yaml.safe_load(text)
        for name, value in other.items():
            settings[name] = settings[name] | value if isinstance(value, dict) else value
        return str(yaml.safe_dump(settings))

    assert "model_config.yaml" in refused(with_yaml(tmp_path, change), tmp_path)


STRIDES = {"expanded": ((100_000, 100_000), (0, 0)), "beyond": ((1, 2), (10**30, 1)), "nothing": ((0, 10**30), (1, 1)),
           "dimensions": ((1,) * 99, (1,) * 99)}  # fmt: skip


@pytest.mark.parametrize("shape", STRIDES.values(), ids=STRIDES)
def test_an_index_of_more_than_there_is(tmp_path: Path, shape: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    """A tensor of one number that strides of zero make gigabytes of, and sizes that no array has."""
    marked = members("tdt")[WEIGHTS]
    source = pack(tmp_path / "model.nemo", members("tdt") | {WEIGHTS: with_index(marked, *shape)})
    assert "reaches beyond its data" in refused(source, tmp_path)


def with_index(weights: bytes, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """Weights whose first tensor is said to have another shape."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(weights)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("data.pkl"):
                # Behind the storage's persistent id (BINPERSID): where it starts, two tuples, and the rest.
                steps = list(pickletools.genops(content))
                at = next(n for n, (opcode, _, _) in enumerate(steps) if opcode.name == "BINPERSID")
                tuples = [n for n, (opcode, _, _) in enumerate(steps) if n > at and "TUPLE" in opcode.name]
                begin, end = steps[at + 2][2], steps[tuples[1] + 1][2]
                both = [b"".join(pickle.dumps(size, 2)[2:-1] for size in each) for each in (shape, strides)]
                content = b"%b(%bt(%bt%b" % (content[:begin], *both, content[end:])
            new.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("bomb", [b"N" * 600_000, b"\x8c\x01a" * 1_500_000], ids=["steps", "bytes"])
def test_an_index_without_end(tmp_path: Path, bomb: bytes) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("archive/data.pkl", b"\x80\x02" + bomb + b".")
    source = pack(tmp_path / "model.nemo", members("tdt") | {WEIGHTS: out.getvalue()})
    assert "too many steps" in (said := refused(source, tmp_path)) or "no usable data.pkl" in said


class Evil:
    """Unpickled as usual it would make a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def test_code_in_the_weights_is_not_run(tmp_path: Path) -> None:
    mark, out = tmp_path / "executed", io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({"weight": Evil(mark)}, protocol=2))
        file.writestr("archive/version", "3")
    source = pack(tmp_path / "model.nemo", members("tdt") | {WEIGHTS: out.getvalue()})
    said = refused(source, tmp_path)
    assert "posix.system" in said or "nt.system" in said
    assert not mark.exists()


def test_an_old_style_pickle_as_weights(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    source = pack(tmp_path / "model.nemo", members("tdt") | {WEIGHTS: pickle.dumps(Evil(mark), protocol=2)})
    assert "no torch checkpoint" in refused(source, tmp_path)
    assert not mark.exists()


def test_missing_yaml(tmp_path: Path) -> None:
    files = members("tdt")
    del files[YAML]
    assert "model_config.yaml" in refused(pack(tmp_path / "model.nemo", files), tmp_path)


def test_missing_weights(tmp_path: Path) -> None:
    files = members("tdt")
    del files[WEIGHTS]
    assert "model_weights.ckpt" in refused(pack(tmp_path / "model.nemo", files), tmp_path)


@pytest.mark.parametrize("text", ["]", "a: [", "- list", "!!python/object/apply:os.system ['touch evil']", "\x00"])
def test_yaml_that_is_none(tmp_path: Path, text: str) -> None:
    assert "model_config.yaml" in refused(with_yaml(tmp_path, lambda _: text), tmp_path)


@pytest.mark.parametrize("name", ["tdt", "canary1"])
def test_a_tokenizer_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    files = members(name)
    lost = next(member for member in files if member.endswith("tokenizer.model"))
    del files[lost]
    said = refused(pack(tmp_path / "model.nemo", files), tmp_path)
    assert lost.removeprefix("./") in said
    assert ".model_path" in said


def test_a_tokenizer_outside_of_the_archive(tmp_path: Path) -> None:
    said = refused(
        with_yaml(tmp_path, lambda text: text.replace("model_path: nemo:", "model_path: nemo:../")), tmp_path
    )
    assert "tokenizer.model_path" in said


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("EncDecRNNTBPEModel", "EncDecSpeakerLabelModel", "EncDecSpeakerLabelModel"),
        ("subsampling: dw_striding", "subsampling: vggnet", "encoder.subsampling = vggnet"),
        ("conv_norm_type: batch_norm", "conv_norm_type: layer_norm", "encoder.conv_norm_type = layer_norm"),
        ("self_attention_model: rel_pos", "self_attention_model: abs_pos", "encoder.self_attention_model = abs_pos"),
        ("causal_downsampling: false", "causal_downsampling: true", "encoder.causal_downsampling = True"),
        ("normalization_mode: null", "normalization_mode: layer", "decoder.normalization_mode = layer"),
        ("n_layers: 1", "n_layers: 0", "encoder.n_layers"),
        ("n_layers: 1", "n_layers: 99999999", "encoder.n_layers"),
        ("n_layers: 1", "n_layers: many", "encoder.n_layers"),
        ("normalize: per_feature", "normalize: all_features", "preprocessor.normalize"),
    ],
)
def test_models_that_cannot_be_converted_are_named(tmp_path: Path, before: str, after: str, says: str) -> None:
    assert says in refused(with_yaml(tmp_path, lambda text: text.replace(before, after)), tmp_path)


def test_an_unknown_target_says_what_is_supported(tmp_path: Path) -> None:
    said = refused(with_yaml(tmp_path, lambda text: text.replace("EncDecRNNTBPEModel", "SaluteModel")), tmp_path)
    for family in ("CTC", "RNN-T", "TDT", "Canary"):
        assert family in said


LSTM = "decoder.prediction.dec_rnn.lstm.bias_hh_l0"


def test_one_key_missing(tmp_path: Path) -> None:
    assert LSTM in refused(with_weights(tmp_path, lambda weights: weights.pop(LSTM)), tmp_path)


def test_one_key_too_many(tmp_path: Path) -> None:
    def add(weights: dict[str, Any]) -> None:
        weights["encoder.layers.0.adapter.weight"] = weights[LSTM]

    assert "encoder.layers.0.adapter.weight" in refused(with_weights(tmp_path, add), tmp_path)


def test_a_layer_more_than_the_yaml_says(tmp_path: Path) -> None:
    source = with_yaml(tmp_path, lambda text: text.replace("n_layers: 2", "n_layers: 1"), "ctc")
    assert "encoder.layers.1." in refused(source, tmp_path)


def test_wrong_shapes(tmp_path: Path) -> None:
    name = "encoder.layers.0.conv.depthwise_conv.weight"

    def turn(weights: dict[str, Any]) -> None:
        weights[name] = weights[name].permute(0, 2, 1).contiguous()

    said = refused(with_weights(tmp_path, turn), tmp_path)
    assert name in said
    assert "[16, 5, 1] instead of [16, 1, 5]" in said


def test_whole_numbers_are_no_weights(tmp_path: Path) -> None:
    assert LSTM in refused(with_weights(tmp_path, lambda w: w.update({LSTM: w[LSTM].long()})), tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(tmp_path: Path, value: float) -> None:
    name = "joint.enc.weight"
    said = refused(with_weights(tmp_path, lambda weights: weights[name].view(-1)[3:4].fill_(value)), tmp_path)
    assert name in said


def test_weights_beyond_float16(tmp_path: Path) -> None:
    source = with_weights(tmp_path, lambda weights: weights["joint.enc.weight"].fill_(1e6))
    (folder := tmp_path / "building").mkdir()
    with pytest.raises(UserError, match="beyond float16"):
        steps.convert(steps.Job(source, folder, "float16", 0, archive.LIMIT_BYTES), lambda *_: None)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_checkpoints_of_other_formats_are_read(tmp_path: Path, dtype: str) -> None:
    import torch

    kind = getattr(torch, dtype)
    source = with_weights(tmp_path, lambda w: w.update({k: v.to(kind) for k, v in w.items() if v.is_floating_point()}))
    (folder := tmp_path / "building").mkdir()
    report = steps.convert(steps.Job(source, folder, "float32", 0, archive.LIMIT_BYTES), lambda *_: None)
    assert all(stage.ok for stage in report.stages)


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (folder := tmp_path / "building").mkdir()
    (folder / "model.safetensors").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"the disk is full: free some space"):
        child.convert(Job(checkpoint("tdt"), folder, "float32", 0, 2**40), lambda _: None)


def test_too_little_space_is_said_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "FREE_MARGIN", 2**62)
    assert "are free" in refused(checkpoint("tdt"), tmp_path)


def test_the_source_must_exist(tmp_path: Path) -> None:
    for source in (tmp_path / "nowhere.nemo", tmp_path):
        with pytest.raises(UserError, match=r"give the path of a \.nemo file"):
            convert(source, tmp_path / "out")


def test_the_output_folder_must_be_empty(tmp_path: Path) -> None:
    kept = tmp_path / "out" / "mine"
    kept.parent.mkdir()
    kept.write_text("mine")
    with pytest.raises(UserError, match="not an empty folder"):
        convert(checkpoint("tdt"), kept.parent)
    assert kept.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_wrong_conversion_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    """Two square matrices that change places, which no look at names and shapes can find."""
    right = keymap.build

    def wrong(rule: keymap.Rule, checkpoint: Any) -> Any:
        swapped = {"linear_q": "linear_k", "linear_k": "linear_q"}
        part = rule.target.split(".")[-2]
        sources = tuple(source.replace(part, swapped.get(part, part)) for source in rule.sources)
        return right(dataclasses.replace(rule, sources=sources), checkpoint)

    monkeypatch.setattr(keymap, "build", wrong)
    (folder := tmp_path / "building").mkdir()
    with pytest.raises(UserError, match="the converted model differs from the checkpoint: encoder"):
        steps.convert(steps.Job(checkpoint("ctc"), folder, dtype, 0, 2**40), lambda *_: None)  # type: ignore[arg-type]
