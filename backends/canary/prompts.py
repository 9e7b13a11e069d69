"""The prompts that Canary was trained with: `canary` (canary-1b) and `canary2` (flash models and v2).

Each token is looked up by itself; a tokenizer of one part also puts its space in front, as NeMo does in training.
"""

from __future__ import annotations

from dataclasses import dataclass

from backends.base import BackendError
from backends.canary.tokenizers import Vocabulary


@dataclass(frozen=True)
class Request:
    """What to write: languages as ISO 639-1 codes; a target other than the source means translation."""

    source: str = "en"
    target: str = "en"
    punctuation: bool = True
    timestamps: bool = False


def tokens(prompt_format: str, request: Request) -> tuple[str, ...]:
    """The names of a prompt's tokens, a language code in place of a language's token."""
    punctuation = "<|pnc|>" if request.punctuation else "<|nopnc|>"
    if prompt_format == "canary":
        task = "<|transcribe|>" if request.source == request.target else "<|translate|>"
        return ("<|startoftranscript|>", request.source, task, request.target, punctuation)
    times = "<|timestamp|>" if request.timestamps else "<|notimestamp|>"
    return (
        *("<|startofcontext|>", "<|startoftranscript|>", "<|emo:undefined|>", request.source, request.target),
        *(punctuation, "<|noitn|>", times, "<|nodiarize|>"),
    )


def ids(prompt_format: str, request: Request, vocabulary: Vocabulary) -> list[int]:
    """The ids of a prompt. Raises BackendError that names what the model does not know."""
    for code in (request.source, request.target):
        if code not in vocabulary.languages:
            known = ", ".join(vocabulary.languages) or "none"
            raise BackendError(f"this model does not know the language {code!r}", f"choose one of: {known}", "model")
    if request.timestamps and not (prompt_format == "canary2" and vocabulary.has_times):
        raise BackendError("this model cannot write the times of words", "leave timestamps off", "model")
    found = list(vocabulary.prefix)
    for name in tokens(prompt_format, request):
        token = name if name.startswith("<|") else vocabulary.language_token(name)
        if token not in vocabulary.specials:
            raise BackendError(f"this model's tokenizer has no token {token}, which its prompt needs", kind="model")
        found.append(vocabulary.specials[token])
    return found
