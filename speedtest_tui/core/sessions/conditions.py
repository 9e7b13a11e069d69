"""What else differs between two races, apart from their results: the first place to look for a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from speedtest_tui.core import figures
from speedtest_tui.core.sessions.document import Document

SHORT_REVISION = 12
"""Characters of a commit that tell it from all others, as `git log` shortens them."""


@dataclass(frozen=True)
class Difference:
    """Something that was one way and is another, in words that fit into a sentence."""

    topic: str
    before: str
    after: str

    @property
    def sentence(self) -> str:
        return f"{self.topic} was {self.before}, now {self.after}"


def same_clip(before: Document, after: Document) -> bool:
    """Whether both races heard the very same samples."""
    one, other = (document["clip"].get("sha256") for document in (before, after))
    return one == other and one is not None


def of_sessions(before: Document, after: Document) -> tuple[Difference, ...]:
    """What holds for all backends alike: clip, plan, machine, program; the weightiest first."""
    plans, hosts = (before["plan"], after["plan"]), (before["host"], after["host"])
    found = [
        _clip(before, after),
        _value("size", plans, "size"),
        _value("chip", hosts, "chip"),
        _value("cores", hosts, "cores"),
        _memory(*hosts),
        _value("order", plans, "order"),
        _value("warm-up", plans, "warmup"),
        _language(*plans),
        _value("program", (before, after), "program"),
        _value("system", hosts, "system"),
        _value("Python", hosts, "python"),
        _load(*hosts),
    ]
    return tuple(difference for difference in found if difference)


def of_results(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """What differs in how one backend ran: weights, precision, device, options. What either does not know is left out.

    before, after: results of one backend, as in a session's document
    """
    models = (before["model"] or {}, after["model"] or {})
    found = [
        _value("library", (before, after), "version"),
        _value("source", models, "source"),
        _value("revision", models, "revision"),
        _value("variant", models, "variant"),
        _value("dtype", models, "dtype"),
        _value("bits per weight", models, "bits"),
        _value("parameters", models, "parameters"),
        _value("device", (before, after), "device"),
    ]
    if before["device"] and after["device"]:
        options = (before.get("options") or {}, after.get("options") or {})
        found += [_option(name, *options) for name in dict.fromkeys((*options[0], *options[1]))]
    return tuple(difference for difference in found if difference)


def _value(topic: str, pair: tuple[Mapping[str, Any], Mapping[str, Any]], key: str) -> Difference | None:
    before, after = (facts.get(key) for facts in pair)
    if before == after or before in (None, "") or after in (None, ""):
        return None
    if key == "revision":
        before, after = before[:SHORT_REVISION], after[:SHORT_REVISION]
    return Difference(topic, str(before), str(after))


def _option(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference | None:
    if before.get(name) == after.get(name):
        return None
    return Difference(f"option {name}", str(before.get(name, "not set")), str(after.get(name, "not set")))


def _clip(before: Document, after: Document) -> Difference | None:
    if same_clip(before, after):
        return None
    clips = [document["clip"] for document in (before, after)]
    labels = [f"{clip['name']} ({figures.seconds(clip['seconds'])})" for clip in clips]
    if labels[0] == labels[1]:
        # A file recorded anew under its old name, for one.
        labels = [f"{clip['name']} (SHA-256 {str(clip.get('sha256'))[:8]}…)" for clip in clips]
    return Difference("clip", *labels)


def _language(before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference | None:
    one, other = (plan.get("language") or "detected" for plan in (before, after))
    return Difference("language", one, other) if one != other else None


def _memory(before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference | None:
    one, other = (f"{host['memory_bytes'] / 2**30:.0f} GB" for host in (before, after))
    return Difference("memory", one, other) if one != other else None


def _load(before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference | None:
    """Only where one race began on a machine that was half busy, or more, and the other did not."""
    busy = [host.get("load", 0.0) >= host["cores"] / 2 for host in (before, after)]
    if busy[0] == busy[1]:
        return None
    one, other = (f"{host.get('load', 0.0):.1f} on {host['cores']} cores" for host in (before, after))
    return Difference("load average at the start", one, other)
