"""Make tiny NeMo checkpoints of every family that the converter knows, with what NeMo itself computes from them.

Needs a throw-away environment: torch 2.13.0, then nemo_toolkit[asr] (3.0.0 here). Nothing of it is a dependency of the
project; what it makes is committed, so that tests need neither. Weights are random: their words mean nothing.
For each family OUT_DIR gets NAME.nemo (gzip) and NAME.npz; mel.npz holds what NeMo's preprocessor makes of some sounds.
"""

from __future__ import annotations

import argparse
import gzip
import logging
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import tiny_configs as tiny
import torch

logging.disable(logging.WARNING)

SENTENCES = (
    "which model is the fastest on this machine", "the quick brown fox jumps over the lazy dog",
    "record seven eight nine and stop", "compare the transcription of the two clips",
)  # fmt: skip
GERMAN = ("welches modell ist das schnellste", "der schnelle braune fuchs springt über den faulen hund")
SPECIALS = (
    "<|startofcontext|>", "<|emo:undefined|>", "<|en|>", "<|de|>", "<|itn|>", "<|noitn|>", "<|timestamp|>",
    "<|notimestamp|>", "<|diarize|>", "<|nodiarize|>", "<|transcribe|>", "<|translate|>",
)  # fmt: skip
CANARY_BASE = ("<pad>", "<|endoftext|>", "<|startoftranscript|>", "<|nopnc|>", "<|pnc|>", "<|nospeech|>")
CANARY = "nemo.collections.common.tokenizers.canary_tokenizer."
GAINS = {
    "joint_net": 3.0,
    "decoder_layers.0": 3.0,
    "prediction.embed": 4.0,
    "mlp.layer0.bias": 0.05,
    "mlp": 0.7,
    "sub_layer": 3.0,
}
"""How far weights are from zero; the last layer of Canary is its embedding too."""

Family = tuple[str, dict[str, Any], Callable[..., Any]]
"""NeMo's class, its configuration, and what computes the reference."""

SECONDS = 2.35
"""Not a multiple of a frame: what NeMo does with the last one shows."""


def tokenizer(folder: Path, sentences: tuple[str, ...], symbols: tuple[str, ...] = ()) -> Path:
    """Train a SentencePiece model without normalisation rules, which would take 240 KB; NeMo wants vocab.txt beside."""
    folder.mkdir(parents=True)
    (folder / "text.txt").write_text("\n".join(sentences))
    import sentencepiece

    sentencepiece.SentencePieceTrainer.Train(
        input=str(folder / "text.txt"), model_prefix=str(folder / "tokenizer"), vocab_size=tiny.LABELS + len(symbols),
        model_type="bpe", character_coverage=1.0, hard_vocab_limit=False, normalization_rule_name="identity",
        user_defined_symbols=list(symbols),
    )  # fmt: skip
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    (folder / "vocab.txt").write_text("".join(pieces.id_to_piece(i) + "\n" for i in range(pieces.get_piece_size())))
    (folder / "text.txt").unlink()
    return folder


def aggregate(folder: Path) -> dict[str, Any]:
    """The tokenizer of canary-1b and of the flash models: special tokens, then one vocabulary a language."""
    folders = {
        "spl_tokens": tokenizer(folder / "spl_tokens", ("a",), CANARY_BASE + SPECIALS),
        "en": tokenizer(folder / "en", SENTENCES),
        "de": tokenizer(folder / "de", GERMAN),
    }
    langs = {name: {"dir": str(place), "type": "bpe"} for name, place in folders.items()}
    custom = {"_target_": CANARY + "CanaryTokenizer", "tokenizers": None}
    return {"dir": None, "type": "agg", "langs": langs, "custom_tokenizer": custom}


def unified(folder: Path) -> dict[str, Any]:
    """The tokenizer of canary-1b-v2: one vocabulary that holds the special tokens too."""
    place = tokenizer(folder / "unified", SENTENCES + GERMAN, CANARY_BASE + SPECIALS)
    custom = {"_target_": CANARY + "CanaryBPETokenizer"}
    return {"dir": str(place), "type": "bpe", "custom_tokenizer": custom}


def shake(model: torch.nn.Module, seed: int) -> None:
    """Give every number a value that nothing else has: fresh norms and biases would hide that they were mixed up."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if name.startswith("preprocessor.") or not value.is_floating_point() or name.endswith("pos_enc"):
            continue
        noise = torch.randn(value.shape, generator=generator)
        if name.endswith("running_var"):
            value.copy_(0.5 + noise.abs())
        elif "norm" in name and name.endswith("weight"):
            value.copy_(1 + 0.3 * noise)
        elif (value.dim() == 1 or "pos_bias" in name) and "mlp" not in name:
            value.copy_(0.3 * noise)
        else:
            # Outputs must differ from frame to frame, or all that is decoded is one token again and again.
            gain = next((gain for part, gain in GAINS.items() if part in name), 1.2)
            value.copy_(gain * noise / value[0].numel() ** 0.5)


def clip(path: Path) -> np.ndarray:
    """The beginning of the clip, float32 with the values of 16-bit samples."""
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == 16000
    return samples[4000 : 4000 + int(SECONDS * rate)]


def tokens_and_text(hypotheses: Any) -> tuple[list[int], str]:
    """The tokens and the text of the first of NeMo's hypotheses."""
    first = hypotheses[0][0] if isinstance(hypotheses[0], list) else hypotheses[0]
    tokens = first.y_sequence
    if tokens.dim() == 2:  # of CTC heads it holds the log-probabilities
        best = torch.unique_consecutive(tokens.argmax(-1))
        tokens = best[best != tokens.shape[1] - 1]
    return [int(token) for token in tokens], str(first.text)


def encoded(model: Any, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, dict[str, np.ndarray]]:
    """What preprocessor and encoder make of a clip: mel (frames, bins), encoder output (steps, width)."""
    mel, length = model.preprocessor(input_signal=samples[None], length=torch.tensor([len(samples)]))
    out, steps = model.encoder(audio_signal=mel, length=length)
    arrays = {"mel": mel[0, :, : int(length)].T.numpy(), "encoder": out[0, :, : int(steps)].T.numpy()}
    return out[:, :, : int(steps)], steps, arrays


def ctc_reference(model: Any, samples: torch.Tensor) -> dict[str, Any]:
    out, _, arrays = encoded(model, samples)
    head = model.ctc_decoder if hasattr(model, "ctc_decoder") else model.decoder
    return arrays | {"ctc": head(encoder_output=out)[0].numpy()}


def transducer_reference(model: Any, samples: torch.Tensor) -> dict[str, Any]:
    """Joint output (steps, labels + 1, outputs) for a fixed row of labels, as logits."""
    arrays = ctc_reference(model, samples) if hasattr(model, "ctc_decoder") else encoded(model, samples)[2]
    out, _, _ = encoded(model, samples)
    labels = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])
    predicted, _, _ = model.decoder(targets=labels, target_length=torch.tensor([labels.shape[1]]))
    model.joint.log_softmax = False
    logits = model.joint.joint(out.transpose(1, 2), predicted.transpose(1, 2))
    model.joint.log_softmax = None
    return arrays | {"labels": labels[0].numpy(), "joint": logits[0].numpy(), "predictor": predicted[0].T.numpy()}


def canary_reference(model: Any, samples: torch.Tensor) -> dict[str, Any]:
    """Decoder output (tokens, vocabulary) after log-softmax for a fixed row of tokens."""
    out, _, arrays = encoded(model, samples)
    states = model.encoder_decoder_proj(out.transpose(1, 2))
    mask = torch.ones(1, states.shape[1])
    ids = torch.tensor([[7, 4, 11, 3, 1, 4, 1, 5, 9, 2, 6, 20, 25]])
    hidden = model.transf_decoder(
        input_ids=ids, decoder_mask=torch.ones_like(ids), encoder_embeddings=states, encoder_mask=mask
    )
    prompt = model.prompt.encode_dialog(turns=model.prompt.get_default_dialog_slots())
    return arrays | {
        "states": states[0].numpy(), "ids": ids[0].numpy(),
        "decoder": model.log_softmax(hidden_states=hidden)[0].numpy(), "prompt": prompt["context_ids"].numpy(),
    }  # fmt: skip


def save(model: Any, target: Path) -> None:
    """A .nemo archive, compressed without a time stamp."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "model.nemo"
        model.save_to(str(plain))
        with (
            plain.open("rb") as source,
            target.open("wb") as out,
            gzip.GzipFile(filename="", mode="wb", fileobj=out, compresslevel=9, mtime=0) as packed,
        ):
            shutil.copyfileobj(source, packed)


def make(name: str, family: Family, out: Path, pcm: np.ndarray) -> None:
    from nemo.collections.asr import models
    from omegaconf import OmegaConf, open_dict

    cls, config, reference = family
    torch.manual_seed(1)
    model = getattr(models, cls)(cfg=OmegaConf.create(config))
    model.eval()
    with open_dict(model.cfg):  # transcribe() of the transducers looks there, whatever was used in training
        model.cfg.validation_ds = {"use_start_end_token": False}
    wave = pcm.astype(np.float32) / 32768
    answer = {"verbose": False, "return_hypotheses": True, "batch_size": 1}
    for seed in range(7, 40):
        shake(model, seed)
        tokens, text = tokens_and_text(model.transcribe([wave], **answer))
        if len(set(tokens)) > 5:
            break  # enough happens for a test
    model.eval()  # transcribe() leaves it in training mode
    with torch.no_grad():
        arrays = reference(model, torch.from_numpy(wave)) | {"audio": pcm, "tokens": tokens, "text": text}
        if hasattr(model, "ctc_decoder"):
            model.change_decoding_strategy(decoder_type="ctc", verbose=False)
            arrays["ctc_tokens"], arrays["ctc_text"] = tokens_and_text(model.transcribe([wave], **answer))
            model.change_decoding_strategy(decoder_type="rnnt", verbose=False)
        if cls == "EncDecMultiTaskModel":
            decoding = model.cfg.decoding.copy()
            with open_dict(decoding):
                decoding.beam.beam_size = 4
            model.change_decoding_strategy(decoding)
            arrays["beam_tokens"], arrays["beam_text"] = tokens_and_text(model.transcribe([wave], **answer))
            with open_dict(decoding):
                decoding.beam.beam_size = 1
            model.change_decoding_strategy(decoding)
    save(model, out / f"{name}.nemo")
    np.savez_compressed(out / f"{name}.npz", **arrays)
    sizes = ", ".join(f"{(out / f'{name}.{kind}').stat().st_size / 1000:.0f} KB" for kind in ("nemo", "npz"))
    print(f"{name}: {sizes}; {len(model.state_dict())} keys; seed {seed}; {tokens} {text!r}", flush=True)


def mel_reference(out: Path, pcm: np.ndarray) -> None:
    """NeMo's mel of speech, noise, silence and short sounds, 80 and 128 bins; only the valid frames.

    Once as it is used, in float32, and once in float64, to tell rounding from difference.
    """
    from nemo.collections.asr.modules import AudioToMelSpectrogramPreprocessor

    rng = np.random.default_rng(5)
    sounds = {
        "speech": pcm[: 8000 + 77], "noise": rng.normal(0, 3000, 4111).astype(np.int16),
        "silence": np.zeros(1000, np.int16),
        "short": pcm[6000:6500], "tone": np.int16(9e3 * np.sin(np.arange(3200) / 6)),
    }  # fmt: skip
    arrays: dict[str, Any] = {f"{name}.pcm": sound for name, sound in sounds.items()}
    for bins in (80, 128):
        settings = {k: v for k, v in tiny.preprocessor(bins).items() if k != "_target_"}
        for kind in (torch.float32, torch.float64):
            front = AudioToMelSpectrogramPreprocessor(**settings).eval().to(kind).featurizer
            for name, sound in sounds.items():
                wave = (torch.from_numpy(sound.astype(np.float32)) / 32768).to(kind)[None]
                mel, length = front(wave, torch.tensor([wave.shape[1]]))
                arrays[f"{name}.{bins}.{32 if kind is torch.float32 else 64}"] = (
                    mel[0, :, : int(length)].T.float().numpy()
                )
    np.savez_compressed(out / "mel.npz", **arrays)
    print(f"mel: {(out / 'mel.npz').stat().st_size / 1000:.0f} KB")


def make_all(out: Path, source: Path, wanted: list[str]) -> None:
    """Make those families, or all where none is named."""
    out.mkdir(parents=True, exist_ok=True)
    pcm = clip(source)
    with tempfile.TemporaryDirectory() as folder:
        places = Path(folder)
        pieces = tokenizer(places / "english", SENTENCES)
        canary = "EncDecMultiTaskModel"
        families: dict[str, Family] = {
            "ctc": ("EncDecCTCModelBPE", tiny.ctc(pieces), ctc_reference),
            "rnnt": ("EncDecRNNTBPEModel", tiny.transducer(pieces, [], 0.0, 2, bins=128), transducer_reference),
            "tdt": ("EncDecRNNTBPEModel", tiny.transducer(pieces, tiny.DURATIONS, 0.2, 1), transducer_reference),
            "hybrid": ("EncDecHybridRNNTCTCBPEModel", tiny.hybrid(pieces), transducer_reference),
            "canary1": (canary, tiny.canary(aggregate(places / "v1"), "canary", 16, 16), canary_reference),
            "flash": (
                canary,
                tiny.canary(aggregate(places / "flash"), "canary2", 16, 24),
                canary_reference,
            ),
            "canary2": (canary, tiny.canary(unified(places / "v2"), "canary2", 16, 16), canary_reference),
        }
        for name, family in families.items():
            if not wanted or name in wanted:
                make(name, family, out, pcm)
    if not wanted or "mel" in wanted:
        mel_reference(out, pcm)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    parser.add_argument("clip", type=Path, metavar="CLIP.flac")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a family, or mel (default: all)")
    chosen = parser.parse_args()
    make_all(chosen.out, chosen.clip, chosen.names)
    return 0


if __name__ == "__main__":
    sys.exit(main())
