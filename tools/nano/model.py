"""The nano Whisper while it learns: a compact vocabulary, windows of any length, a CTC head on the encoder.

Only tokens that occur have an embedding row; one extra row stands for all others, with a bias of log(their number), so
that giving each of them that row afterwards changes no probability.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable

import tiktoken
import torch
from features import BANDS, whisper_assets
from torch.nn import functional
from whisper_mps.whisper import torch_whisper

END, START, NO_SPEECH, NO_TIMESTAMPS, FIRST_TIMESTAMP, VOCABULARY = 50256, 50257, 50361, 50362, 50363, 51864
"""Ids of an English-only Whisper (openai/whisper, whisper/tokenizer.py)."""

TIMESTAMPS = 1501
AUDIO_CONTEXT, TEXT_CONTEXT = 1500, 448
WIDTH, HEADS, LAYERS = 96, 4, 2
GPT2_PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


class Vocabulary:
    """GPT-2's tokens of some texts, Whisper's own, and the rows that they have in the model.

    used: token ids that have a row, ascending
    row: row of each of them; `extra` is the row of all the others
    ctc: class of each text token for the CTC head; 0 is the blank
    """

    def __init__(self, texts: Iterable[str]) -> None:
        lines = (whisper_assets() / "gpt2.tiktoken").read_text().splitlines()
        ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}
        self.bpe = tiktoken.Encoding(name="gpt2", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens={})
        words = {token for text in texts for token in self.encode(text)}
        times = range(FIRST_TIMESTAMP, FIRST_TIMESTAMP + TIMESTAMPS)
        self.used = sorted({*words, END, START, NO_SPEECH, NO_TIMESTAMPS, *times})
        self.row = {token: row for row, token in enumerate(self.used)}
        self.extra = len(self.used)
        self.ctc = {token: n for n, token in enumerate(sorted(words), 1)}

    def encode(self, text: str) -> list[int]:
        """Return the tokens of `text` as Whisper says it: with a space before the first word."""
        ids: list[int] = self.bpe.encode(" " + text)
        return ids

    def decode(self, rows: list[int]) -> str:
        """Return the text of model rows; rows of Whisper's own tokens say nothing."""
        tokens = [self.used[row] for row in rows if row != self.extra]
        text: str = self.bpe.decode([token for token in tokens if token < END])
        return text


class Trainee:
    """whisper-mps's torch Whisper, whose parameter names are OpenAI's, taken apart for windows shorter than 30 s."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        rows = vocabulary.extra + 1
        sizes = (BANDS, AUDIO_CONTEXT, WIDTH, HEADS, LAYERS, rows, TEXT_CONTEXT, WIDTH, HEADS, LAYERS)
        self.whisper = torch_whisper.Whisper(torch_whisper.ModelDimensions(*sizes))
        self.ctc = torch.nn.Linear(WIDTH, len(vocabulary.ctc) + 1)
        self.bias = torch.zeros(rows)
        self.bias[-1] = math.log(VOCABULARY - vocabulary.extra)
        decoder, encoder = self.whisper.decoder, self.whisper.encoder
        torch.nn.init.normal_(decoder.token_embedding.weight, std=0.1)
        torch.nn.init.normal_(decoder.positional_embedding, std=0.02)
        # With torch's own, smaller initial weights the speech drowns in the sinusoidal positions.
        for convolution in (encoder.conv1, encoder.conv2):
            torch.nn.init.kaiming_normal_(convolution.weight)
            convolution.weight.data *= 1.5

    def parameters(self) -> list[torch.nn.Parameter]:
        """Return all that is trained, the CTC head included."""
        return [*self.whisper.parameters(), *self.ctc.parameters()]

    def encode(self, mel: torch.Tensor) -> torch.Tensor:
        """Map (batch, 80, frames) to (batch, frames / 2, WIDTH), for any length up to 30 s."""
        encoder = self.whisper.encoder
        x = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(mel)))).permute(0, 2, 1)
        x = x + encoder.positional_embedding[: x.shape[1]]
        for block in encoder.blocks:
            x = block(x)
        return encoder.ln_post(x)

    def decode(self, rows: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        """Map rows (batch, n) and encoded audio to logits (batch, n, len(used) + 1)."""
        decoder = self.whisper.decoder
        x = decoder.token_embedding(rows) + decoder.positional_embedding[: rows.shape[1]]
        for block in decoder.blocks:
            x = block(x, audio, mask=decoder.mask)
        return decoder.ln(x) @ decoder.token_embedding.weight.T + self.bias

    def checkpoint(self) -> dict[str, object]:
        """Return what export.py reads: `weights`, `used` (token of each embedding row but the last) and `dims`."""
        dims = {**vars(self.whisper.dims), "n_vocab": VOCABULARY}
        return {"weights": self.whisper.state_dict(), "used": self.vocabulary.used, "dims": dims}
