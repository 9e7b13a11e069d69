"""What could race, made by hand: the same whatever is installed and lies in the caches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from states import NOWHERE, StillWorker, model_report

from backends.base import Advice
from backends.registry import BUILT_IN
from speedtest_tui.core.jobs.offers import Offer, Offers, Origin
from speedtest_tui.core.models.sizes import Candidate, Unavailable
from speedtest_tui.core.models.status import CacheState
from speedtest_tui.ui.workers.messages import OffersKnown

ABSENT = Unavailable("not-installed", Advice("not installed", "pip install it"))
HERE = CacheState("complete", 483_000_000, 483_000_000)
PART = CacheState("partial", 179_000_000, 483_000_000, detail="1 of 4 files, 179 of 483 MB")


def offer(
    backend: str,
    size: str,
    group: str = "",
    *sizes: str,
    hf: CacheState = NOWHERE,
    barred: bool = False,
    options: tuple[tuple[str, str], ...] = (),
    precision: str = "float16",
    origin: Origin = "catalogue",
) -> Offer:
    """A model of the catalogue. sizes: further names of it; nothing is known of the memory of what is not here."""
    entry = next(entry for entry in BUILT_IN if entry.name == backend)
    report = replace(model_report(backend, size, hf=hf), sizes=(size, *sizes), options=options)
    report = replace(report, unavailable=ABSENT, location=None) if barred else report
    here = hf.state == "complete"
    parameters = {"small": 244_000_000, "large": 978_000_000}.get(size)
    memory = 1_200_000_000 if here else None
    one = Candidate(entry, group if group in report.sizes else size, options, report.spec)
    return Offer(one, report, group or size, origin, parameters, here, precision if here else "", memory)


PARAKEET = ("parakeet-tdt-0.6b-v2", "", "tiny", "small")
OFFERS = (
    offer("mlx-whisper", "nano", hf=HERE),
    offer("canary-mlx", "nano", hf=HERE),
    offer("transformers", "nano", hf=HERE, precision="float32"),
    offer("mlx-whisper", "small", "", "small-4bit", hf=HERE, precision="4-bit"),
    offer("whisper-mps", "small", hf=PART),
    offer("transformers", "small"),
    offer("faster-whisper", "small", barred=True),
    offer("openai-whisper", "small", hf=HERE, precision="float32"),
    offer("whisperkit", "small", barred=True),
    offer("mlx-whisper", "turbo", "", "large"),
    offer("transformers", "turbo", "", "large"),
    offer("parakeet-mlx", *PARAKEET, hf=HERE, precision="bfloat16"),
    offer("parakeet-mlx-exact", *PARAKEET, hf=HERE, precision="bfloat16"),
    offer("parakeet-mlx-stream", *PARAKEET, hf=HERE, precision="bfloat16"),
    offer("canary-mlx", "large", "canary-1b-v2", "turbo", "canary-1b-v2"),
    offer("pocketsphinx", "nano", "en-us", "small", "turbo", "large"),
    offer("canary-mlx", "nano", "", hf=HERE, options=(("beam", "2"),), origin="typed"),
    offer("canary-mlx", "nano", "", hf=HERE, options=(("beam", "4"),), origin="typed"),
)


class Still(StillWorker):
    """Answers by hand, whatever is installed."""

    def offer(self, *asked: Any) -> None:
        asked[-1](OffersKnown(Offers(OFFERS, free_memory=24 << 30, done=True)))
