"""A home in which each model of the catalogue is damaged in a way of its own, and a hub that has them whole.

Run by itself it makes such a home below a folder and serves the hub until it is ended:
`PYTHONPATH=tests:tests/hub python tests/hub/damaged_home.py FOLDER` prints the environment to use.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import damage
from caches import HubCache, hub_cache, plain_folder, shared_store, write
from contents import Source
from repos import PARAKEET, Kit, publish
from server import HubServer


@dataclass(frozen=True)
class Damaged:
    """One model in one cache: whose it is, and the state that a check must report."""

    backend: str
    size: str
    cache: str
    state: str


@dataclass(frozen=True)
class Home:
    """Where everything lies, and what was done to it. `payloads` are files that must not be lost without a trace."""

    folder: Path
    hf: Path
    local: Path
    whisper: Path
    damaged: tuple[Damaged, ...]
    payloads: tuple[bytes, ...]

    def environment(self, hub: HubServer) -> dict[str, str]:
        """What to set so that the program uses it, and no other hub."""
        return {
            "HOME": str(self.folder),
            "HF_HOME": str(self.hf.parent),
            "HF_ENDPOINT": hub.url,
            "SPEEDTEST_MODELS_DIR": str(self.local),
            "SPEEDTEST_DATA_DIR": str(self.folder / "data"),
            "SPEEDTEST_CONFIG_DIR": str(self.folder / "config"),
            "SPEEDTEST_OPENAI_ENDPOINT": hub.cdn_url,
        }


def distinct(files: dict[str, Source], word: str) -> dict[str, Source]:
    """The same weights in a file of its own content, so that no other repository's can stand in for it."""
    made = dict(files)
    for name, source in files.items():
        if name.endswith(".safetensors") and isinstance(source, Path):
            data = source.read_bytes()
            length = struct.unpack("<Q", data[:8])[0]
            header = json.loads(data[8 : 8 + length])
            header["__metadata__"] = {**(header.get("__metadata__") or {}), "for": word}
            text = json.dumps(header).encode()
            text += b" " * (-len(text) % 8)
            made[name] = struct.pack("<Q", len(text)) + text + data[8 + length :]
    return made


class Builder:
    """Makes good caches, then damages them."""

    def __init__(self, folder: Path, hub: HubServer, kit: Kit) -> None:
        self.folder, self.hub, self.kit = folder, hub, kit
        self.hf = folder / "Zwischen speicher" / "hub"  # a space, and beyond that what the tests in `places` have
        self.local, self.whisper = folder / "Modelle für alle", folder / ".cache" / "whisper"
        self.damaged: list[Damaged] = []
        self.payloads: list[bytes] = []

    def cached(self, name: str, files: dict[str, Source], root: Path | None = None, **how: object) -> HubCache:
        """Serve a repository and put it into a cache, both whole."""
        files = distinct(files, name)
        commit = publish(self.hub, name, files)
        return hub_cache(root or self.hf, name, files, commit=commit, **how)  # type: ignore[arg-type]

    def note(self, backend: str, size: str, state: str, cache: str = "hf") -> None:
        self.damaged.append(Damaged(backend, size, cache, state))

    def keep(self, path: Path) -> None:
        """What lies there now is somebody's data."""
        self.payloads.append(path.read_bytes())


def build(folder: Path, hub: HubServer, kit: Kit) -> Home:
    """Make the home; the hub then has every model whole."""
    b = Builder(folder, hub, kit)
    _mlx_whisper(b)
    _transformers(b)
    _others(b)
    return Home(folder, b.hf, b.local, b.whisper, tuple(b.damaged), tuple(b.payloads))


def _mlx_whisper(b: Builder) -> None:
    mlx, weights = b.kit.mlx(), "weights.safetensors"
    made = b.cached("mlx-community/whisper-tiny-mlx-q4", mlx)
    damage.flip_byte(made.blob(weights))  # right size and time: only its hash tells
    b.keep(made.blob(weights))
    made = b.cached("mlx-community/whisper-base-mlx", b.kit.wrong_layout(), manifest=False)
    b.note("mlx-whisper", "base", "wrong-layout")
    made = b.cached("mlx-community/whisper-small-mlx-4bit", mlx)
    damage.truncate(made.blob(weights))
    b.keep(made.blob(weights))
    b.note("mlx-whisper", "small", "damaged")
    made = b.cached("mlx-community/whisper-medium-mlx-8bit", mlx)
    damage.break_link(made.file(weights))
    b.note("mlx-whisper", "medium", "broken-link")
    made = b.cached("mlx-community/whisper-large-v3-turbo", mlx, only={"config.json"})
    damage.hub_partial(made, weights, 500_000)
    b.note("mlx-whisper", "large", "partial")
    made = b.cached("mlx-community/whisper-large-v2-mlx-4bit", b.kit.npz())
    damage.truncate(made.blob("weights.npz"))
    damage.half_write_ref(made)
    b.note("mlx-whisper", "large-v2", "damaged")
    made = b.cached("mlx-community/whisper-large-v3-mlx-8bit", mlx, root=b.local)
    damage.pointer(made.blob(weights))
    b.note("mlx-whisper", "large-v3", "damaged", "local")


def _transformers(b: Builder) -> None:
    files, weights = b.kit.transformers(), "model.safetensors"
    small = {name: source for name, source in files.items() if isinstance(source, Path)}
    made = b.cached("openai/whisper-tiny", small)
    payload = shared_store(made, weights)
    damage.truncate(payload)  # every repository that links here has it
    b.note("transformers", "tiny", "damaged")
    made = b.cached("openai/whisper-base", small)
    damage.empty(made.blob("config.json"))
    b.note("transformers", "base", "damaged")
    made = b.cached("openai/whisper-small", small, manifest=False)
    damage.garbage(made.blob(weights))
    b.keep(made.blob(weights))
    b.note("transformers", "small", "damaged")
    made = b.cached("openai/whisper-medium", small, only={"config.json", "generation_config.json"})
    b.note("transformers", "medium", "partial")
    made = b.cached("openai/whisper-large-v3-turbo", small)
    damage.remove_ref(made)
    secret = b.folder / "outside"
    write(secret, b"nobody's business")
    damage.escape_link(made.file("config.json"), secret)
    b.note("transformers", "large", "damaged")
    made = b.cached("openai/whisper-large-v2", small)
    damage.hollow(b.hf, "org/hollow")
    damage.unlink_from_snapshot(made, weights)
    b.note("transformers", "large-v2", "partial")


def _others(b: Builder) -> None:
    made = b.cached(PARAKEET, b.kit.parakeet())
    damage.folder_for_file(made.blob("model.safetensors"))
    b.note("parakeet-mlx", "tiny", "damaged")
    plain_folder(b.local / "mlx-community--whisper-base-mlx", b.kit.wrong_layout())
    # An equal file elsewhere: a broken link is repaired from it, without a network.
    good = b.kit.mlx()
    hub_cache(b.hf, "org/twin", good)
    made = hub_cache(b.hf, "mlx-community/whisper-medium-mlx", good)
    damage.break_link(made.file("weights.safetensors"))
    made = b.cached("org/other", {"config.json": b"{}", "model.safetensors": b.kit.mlx()["weights.safetensors"]})
    damage.orphan_partial(made)
    damage.stale_lock(made, "config.json")
    damage.foreign_file(b.hf)
    write(b.whisper / "notes.txt", b"mine")


def main() -> None:
    folder = Path(sys.argv[1]).absolute()
    with HubServer() as hub:
        home = build(folder / "home", hub, Kit(folder / "kit"))
        for name, value in home.environment(hub).items():
            print(f"export {name}='{value}'", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
