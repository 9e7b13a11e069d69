"""Nano Canary while it learns: NeMo's model, the CTC head of the Parakeet it starts from, and what is kept of both."""

from __future__ import annotations

import math
import random
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import canary_batches
import canary_config
import torch
from canary_batches import Batch, Utterance
from torch.nn import functional

ENCODER_FROZEN_STEPS = 500
"""The decoder first learns to listen to an encoder that stands still; such steps also take a third of the time."""

SUBSAMPLING_FROZEN_SHARE = 0.6
"""Of the whole time. The convolutions before the layers come well trained, and their gradients cost half of a step."""

DECODER_RATE, ENCODER_RATE = 2e-3, 7e-4
CTC_SHARE, SMOOTHING = 0.3, 0.1
LONGEST_ANSWER = 60
IGNORED = -100


@dataclass
class State:
    """What is kept from one start to the next, beside the weights."""

    step: int = 0
    seconds: float = 0.0
    best: float = math.inf
    curve: list[tuple[int, float, float, float]] = field(default_factory=list)
    """Step, seconds of training, mean loss since the last row, word error rate."""


class Trainer:
    """The NeMo model, a CTC head that is not part of it, and one optimizer over both."""

    def __init__(self, parakeet: Path, work: Path, out: Path) -> None:
        from nemo.collections.asr.models import EncDecMultiTaskModel
        from omegaconf import OmegaConf

        source = canary_config.parakeet_tokenizer(parakeet, work / "en")
        canary_config.special_tokenizer(work / "spl_tokens")
        self.model = EncDecMultiTaskModel(cfg=OmegaConf.create(canary_config.config(source, work)))
        self.tokenizer = self.model.tokenizer
        self.offset = self.tokenizer.token_id_offset["en"]
        pieces = self.tokenizer.tokenizers_dict["en"].vocab_size
        self.ctc = torch.nn.Linear(canary_config.WIDTH, pieces + 1)
        self.warm_start(parakeet)
        self.optimizer = torch.optim.AdamW(
            [{"params": list(self.model.encoder.parameters())}, {"params": self.others()}],
            lr=DECODER_RATE,
            weight_decay=1e-3,
            betas=(0.9, 0.98),
        )
        self.out, self.checkpoint = out, out.with_suffix(".checkpoint.pt")
        self.state = State()
        self.best: dict[str, torch.Tensor] = {}

    def others(self) -> list[torch.nn.Parameter]:
        """All but the encoder; the embedding and the head share one matrix, which is listed once."""
        modules = (self.model.transf_decoder, self.model.log_softmax, self.ctc)
        return list({id(p): p for module in modules for p in module.parameters()}.values())

    def warm_start(self, parakeet: Path) -> None:
        with tarfile.open(parakeet) as archive, tempfile.TemporaryFile() as file:
            name = next(m for m in archive.getmembers() if m.name.endswith("model_weights.ckpt"))
            file.write(canary_config.contents(archive, name))
            file.seek(0)
            weights = torch.load(file, weights_only=True, map_location="cpu")
        encoder = {k.removeprefix("encoder."): v for k, v in weights.items() if k.startswith("encoder.")}
        self.model.encoder.load_state_dict(encoder)
        with torch.no_grad():
            self.ctc.weight.copy_(weights["ctc_decoder.decoder_layers.0.weight"][..., 0])
            self.ctc.bias.copy_(weights["ctc_decoder.decoder_layers.0.bias"])

    def mel(self) -> canary_batches.Mel:
        """NeMo's own front end without dither and normalisation, which `canary_batches` does after mixing."""
        from nemo.collections.asr.modules import AudioToMelSpectrogramPreprocessor

        settings = {k: v for k, v in self.model.cfg.preprocessor.items() if k != "_target_"}
        front = AudioToMelSpectrogramPreprocessor(**{**settings, "normalize": None, "dither": 0.0, "pad_to": 0})
        front.eval()

        def compute(samples: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                found, frames = front(input_signal=samples[None], length=torch.tensor([len(samples)]))
            return found[0, :, : int(frames[0])].clone()

        return compute

    def encode(self, text: str) -> list[int]:
        """Ids of `text` in the aggregate vocabulary."""
        return [int(i) for i in self.tokenizer.text_to_ids(text, "en")]

    def decode(self, ids: list[int]) -> str:
        pieces = self.tokenizer.tokenizers_dict["en"]
        return str(pieces.ids_to_text([i - self.offset for i in ids if i >= self.offset]))

    def prompt(self, punctuation: bool) -> list[int]:
        names = [
            "<|startofcontext|>", "<|startoftranscript|>", "<|emo:undefined|>", "<|en|>", "<|en|>",
            "<|pnc|>" if punctuation else "<|nopnc|>", "<|noitn|>", "<|notimestamp|>", "<|nodiarize|>",
        ]  # fmt: skip
        return [self.tokenizer.special_tokens[name] for name in names]

    def encoded(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Encoder output (batch, n, width), its lengths and its mask."""
        hidden, lengths = self.model.encoder(audio_signal=batch.mel, length=batch.frames)
        hidden = hidden.transpose(1, 2)
        return hidden, lengths, (torch.arange(hidden.shape[1])[None] < lengths[:, None]).float()

    def scores(self, ids: torch.Tensor, hidden: torch.Tensor, mask: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Log-probabilities (batch, n, vocabulary) after each of `ids`."""
        states = self.model.transf_decoder(
            input_ids=ids, decoder_mask=valid, encoder_embeddings=hidden, encoder_mask=mask
        )
        found: torch.Tensor = self.model.log_softmax(hidden_states=states)
        return found

    def loss(self, batch: Batch, rng: random.Random) -> torch.Tensor:
        """Smoothed cross entropy of the answers, and the CTC loss of the encoder."""
        hidden, lengths, mask = self.encoded(batch)
        prompts = [self.prompt(rng.random() < 0.7) for _ in batch.texts]
        end, size = self.tokenizer.eos_id, len(prompts[0]) + max(len(text) for text in batch.texts)
        ids = torch.full((len(prompts), size), self.tokenizer.pad_id)
        targets = torch.full((len(prompts), size), IGNORED)
        valid = torch.zeros(len(prompts), size)
        for row, (prompt, text) in enumerate(zip(prompts, batch.texts, strict=True)):
            n = len(prompt) + len(text)
            ids[row, :n] = torch.tensor(prompt + text)
            targets[row, len(prompt) - 1 : n] = torch.tensor([*text, end])
            valid[row, :n] = 1
        found = self.scores(ids, hidden, mask, valid)
        spoken = functional.cross_entropy(
            found.transpose(1, 2), targets, ignore_index=IGNORED, label_smoothing=SMOOTHING
        )
        labels = torch.tensor([i - self.offset for text in batch.texts for i in text])
        counts = torch.tensor([len(text) for text in batch.texts])
        connectionist = functional.ctc_loss(
            self.ctc(hidden).log_softmax(-1).transpose(0, 1),
            *(labels, lengths, counts),
            blank=self.ctc.out_features - 1,
            zero_infinity=True,
        )
        return spoken + CTC_SHARE * connectionist

    def greedy(self, batch: Batch) -> list[str]:
        """Transcribe a batch, the whole prefix computed anew for each token."""
        with torch.no_grad():
            hidden, _, mask = self.encoded(batch)
            ids = torch.tensor([self.prompt(True)] * len(batch.texts))
            start, done = ids.shape[1], torch.zeros(len(ids), dtype=torch.bool)
            for _ in range(LONGEST_ANSWER):
                found = self.scores(ids, hidden, mask, torch.ones(ids.shape))[:, -1, : self.tokenizer.vocab_size]
                following = found.argmax(-1).masked_fill(done, self.tokenizer.eos_id)
                ids = torch.cat([ids, following[:, None]], 1)
                done |= following == self.tokenizer.eos_id
                if bool(done.all()):
                    break
        answers = [[int(i) for i in row if i != self.tokenizer.eos_id] for row in ids[:, start:]]
        return [self.decode(answer) for answer in answers]

    def validate(self, held: list[Utterance]) -> float:
        """Word error rate of greedy decoding on utterances that are not trained on."""
        modules = (self.model, self.ctc)
        for module in modules:
            module.eval()
        errors = words = 0
        for start in range(0, len(held), 20):
            part = held[start : start + 20]
            rows = [canary_batches.normalise(one.mel.float(), one.mel.shape[1]) for one in part]
            batch = canary_batches.padded(rows, [one.ids for one in part])
            for one, found in zip(part, self.greedy(batch), strict=True):
                said = self.decode(one.ids).split()
                errors += distance(said, found.split())
                words += len(said)
        for module in modules:
            module.train()
        return errors / words

    def rate(self, progress: float) -> None:
        """Set what learns, and how fast: a linear start, then half a cosine over the time that is given."""
        step = self.state.step
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress))) + 0.01
        encoder, others = self.optimizer.param_groups
        others["lr"] = DECODER_RATE * min(1.0, (step + 1) / 150) * cosine
        for name, parameter in self.model.encoder.named_parameters():
            early = SUBSAMPLING_FROZEN_SHARE if name.startswith("pre_encode.") else 0.0
            parameter.requires_grad_(step >= ENCODER_FROZEN_STEPS and progress >= early)
        encoder["lr"] = ENCODER_RATE * min(1.0, max(0, step - ENCODER_FROZEN_STEPS) / 300) * cosine

    def save(self) -> None:
        """Write everything that a later start needs, in one rename."""
        parts = {
            "model": self.model.state_dict(),
            "ctc": self.ctc.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "state": vars(self.state),
            "best": self.best,
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(parts, part)
        part.replace(self.checkpoint)
        rows = ["step\tseconds\tloss\twer", *("\t".join(f"{n:.4g}" for n in row) for row in self.state.curve)]
        self.out.with_suffix(".curve.tsv").write_text("\n".join(rows) + "\n")

    def resume(self) -> None:
        if not self.checkpoint.is_file():
            return
        parts: dict[str, Any] = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(parts["model"])
        self.ctc.load_state_dict(parts["ctc"])
        self.optimizer.load_state_dict(parts["optimizer"])
        self.state, self.best = State(**parts["state"]), parts["best"]
        print("resumed at step", self.state.step, flush=True)

    def finish(self) -> None:
        """Save the best weights as a .nemo file."""
        if self.best:
            self.model.load_state_dict(self.best)
        self.model.eval()
        self.model.save_to(str(self.out))
        print(f"saved {self.out.name}, best word error rate {self.state.best:.3f}", flush=True)


def distance(said: list[str], found: list[str]) -> int:
    """Words inserted, deleted and replaced."""
    row = list(range(len(found) + 1))
    for i, word in enumerate(said, 1):
        above, row[0] = row[0], i
        for j, other in enumerate(found, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (word != other))
    return row[-1]
