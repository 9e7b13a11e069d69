"""Whatever a hub says, in each field of its answers, nothing of it steers the terminal that it is shown on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import test_download_hostile as hostile
from poison import ARGUMENT, raw
from test_download_hostile import Answer, Host, as_json, host, info
from test_surroundings import surrounded

from backends.catalogue import BY_BACKEND

COMBINING = "a" + "\u0301" * 400
"""One letter as high as a screen."""

SIZES = ("tiny", "base", "small", "medium")
REPOSITORIES = list(dict.fromkeys(
    one.source
    for models in BY_BACKEND.values()
    for size in SIZES
    for one in (models.get(size), models[size].fallback if size in models else None)
    if one and one.kind == "hub"
))  # fmt: skip
"""Each says something else."""

SAID = ("file name", "commit", "errors", "entry", "etag", "error", "request id", "disabled")


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    payload = re.sub("[\ud800-\udfff]", "", ARGUMENT) + COMBINING
    octets = "".join(one for one in payload if ord(one) < 256 and one not in "\r\n")
    monkeypatch.setattr(hostile, "PAYLOAD", payload)
    monkeypatch.setattr(hostile, "OCTETS", octets)
    card = {"license": payload, "extra_gated_prompt": payload, "license_name": payload}
    fields = [hostile.FIELDS[name] for name in SAID] + [
        lambda _: info(gated=payload, license=payload, cardData=card, tags=[payload], author=payload),
        lambda _: as_json({"error": payload}, 403, X_Error_Code="GatedRepo", X_Error_Message=octets),
        lambda _: as_json({"error": payload, "error_description": [payload]}, 401, WWW_Authenticate=octets),
        lambda _: (302, {":reason": octets, "Location": f"/{octets}"}, b""),
        lambda _: (451, {":reason": octets}, payload.encode()),
    ]

    def answers(path: str) -> Answer:
        asked = next((one for one in REPOSITORIES if f"/{one}/" in f"{path}/"), REPOSITORIES[0])
        return fields[REPOSITORIES.index(asked) % len(fields)](path)

    with host(answers) as made:
        yield made


def test_a_hub_that_means_harm(odd: Host, tmp_path: Path) -> None:
    environment = {
        "HOME": str(tmp_path), "SPEEDTEST_DATA_DIR": str(tmp_path / "data"), "HF_HUB_OFFLINE": "0", "COLUMNS": "100",
        "SPEEDTEST_MODELS_DIR": str(tmp_path / "models"), "HF_ENDPOINT": odd.url, "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    arguments = ["download", "--timeout", "4", "--backends", "mlx-whisper,transformers,parakeet-mlx", "--size"]
    cases: list[tuple[list[str], str, None]] = [([*arguments, size], "terminal", None) for size in SIZES]
    cases += [([*arguments, "tiny", "--json"], "terminal", None), (["check-models"], "terminal", None)]
    cases += [(["repair", "--apply", "--size", size], "terminal", None) for size in SIZES[:2]]
    outputs = [output for _, output, _ in surrounded(cases, tmp_path, **environment)]
    asked = {one for one in REPOSITORIES if any(f"/{one}/" in f"{path}/" for path, _ in odd.asked)}
    assert len(asked) > len(SAID), (asked, outputs)
    for (words, *_), output in zip(cases, outputs, strict=True):
        assert not raw(output), (words, output)
        assert "Traceback" not in output and "\u0301" * 9 not in output, output
    assert sum(output.count("qz") for output in outputs) > 1
