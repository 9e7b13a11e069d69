"""GPT-2's byte-level BPE with Whisper's English-only special tokens, written as a Hugging Face `tokenizer.json`.

The ranks are OpenAI's file; the merges, which that file does not hold, are found again from them, exactly.
"""

from __future__ import annotations

import base64
import functools
import itertools
import json
from pathlib import Path
from typing import Any

RANKS = Path(__file__).with_name("gpt2.tiktoken.xz")

ENDOFTEXT, START, TRANSLATE, TRANSCRIBE, START_OF_PREVIOUS = 50256, 50257, 50357, 50358, 50360
NO_SPEECH, NO_TIMESTAMPS, FIRST_TIMESTAMP, VOCABULARY = 50361, 50362, 50363, 51864
"""Ids of an English-only Whisper: `get_encoding("gpt2")` of openai/whisper, whisper/tokenizer.py."""

LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml "
    "cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu "
    "am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su"
)
"""The 99 languages in the order of their tokens (`LANGUAGES`, same file); an English-only model has them, unused."""


@functools.cache
def ranks() -> dict[bytes, int]:
    """Return GPT-2's 50,256 byte strings and their ids, in the order of the ids.

    Raises ImportError where this Python was built without lzma.
    """
    import lzma

    lines = lzma.decompress(RANKS.read_bytes()).splitlines()
    return {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}


def split_before(token: bytes, limit: int, known: dict[bytes, int]) -> list[bytes]:
    """Merge the bytes of `token` as BPE does, with merges of a rank below `limit` only; the parts that remain.

    The loop of `bpe_encode` in openai/tiktoken, tiktoken/_educational.py.
    """
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 1:
        pairs = [known.get(left + right, limit) for left, right in itertools.pairwise(parts)]
        lowest = min(pairs)
        if lowest >= limit:
            break
        at = pairs.index(lowest)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def merges() -> list[tuple[bytes, bytes]]:
    """Return GPT-2's 50,000 merges in order.

    Each token was made by one merge of two older tokens: what the merges before it leave of its bytes is that pair.
    """
    known = ranks()
    found = []
    for token, rank in known.items():
        if len(token) > 1:
            left, right = split_before(token, rank, known)
            found.append((left, right))
    return found


def byte_characters() -> dict[int, str]:
    """Return the printable character that stands for each byte (`bytes_to_unicode` of openai/gpt-2, src/encoder.py)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


def special_tokens() -> list[str]:
    """Return the tokens from 50256 to 50362, in order: end of text, start, languages, tasks, and the last four."""
    languages = [f"<|{language}|>" for language in LANGUAGES.split()]
    tasks = ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    return ["<|endoftext|>", "<|startoftranscript|>", *languages, *tasks]


def timestamps() -> list[str]:
    """Return the tokens from 50363 to 51863: 0.00 to 30.00 seconds in steps of 0.02."""
    return [f"<|{n * 0.02:.2f}|>" for n in range(1501)]


def tokenizer_json() -> str:
    """Return the text of `tokenizer.json`, as the Rust library tokenizers reads it."""
    character = byte_characters()

    def readable(token: bytes) -> str:
        return "".join([character[byte] for byte in token])

    vocabulary = {readable(token): rank for token, rank in ranks().items()} | {"<|endoftext|>": ENDOFTEXT}
    # Timestamps are not special, in transformers' sense: its Whisper code must still see them after it has dropped
    # special tokens, and finds the first of them one above the last special token.
    kinds = [(token, True) for token in special_tokens()] + [(token, False) for token in timestamps()]
    added = [
        {
            "id": ENDOFTEXT + n,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": special,
        }
        for n, (token, special) in enumerate(kinds)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    document: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": post_processor(),
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": [[readable(left), readable(right)] for left, right in merges()],
        },
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def post_processor() -> dict[str, Any]:
    """Return the template that puts a text between the start tokens and the end of text, as for a decoder's labels."""

    def special(name: str) -> dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": 0}}

    ids = {"<|startoftranscript|>": START, "<|notimestamps|>": NO_TIMESTAMPS, "<|endoftext|>": ENDOFTEXT}
    start, no_timestamps, end = (special(name) for name in ids)
    texts: list[dict[str, Any]] = [{"Sequence": {"id": part, "type_id": 0}} for part in ("A", "B")]
    return {
        "type": "TemplateProcessing",
        "single": [start, no_timestamps, texts[0], end],
        "pair": [start, no_timestamps, *texts, end],
        "special_tokens": {name: {"id": name, "ids": [token], "tokens": [name]} for name, token in ids.items()},
    }
