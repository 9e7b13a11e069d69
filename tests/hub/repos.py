"""Nano models in every layout, served under the names that the catalogue knows: real specs can be fetched and loaded.

The models are built once per `Kit`, each in a process of its own: two of the layouts need torch or MLX.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from contents import Content, Source, is_large
from racing import python_path
from server import HubServer

from backends.base import ModelSpec, RequiredFile
from speedtest_tui.core.models.builtin import unpack_apart

HERE = Path(__file__).resolve().parent
README = b"---\nlicense: mit\n---\n# A tiny model for tests\n"

MLX = "mlx-community/whisper-tiny-mlx"
QUANTISED = "mlx-community/whisper-tiny-mlx-q4"
WRONG_LAYOUT = "mlx-community/whisper-base-mlx"
TRANSFORMERS = "openai/whisper-tiny"
PARAKEET = "mlx-community/parakeet-tdt-0.6b-v2"
CHECKPOINT = "nano.en.pt"
"""whisper-mps knows the hashes of the names that OpenAI uses, and refuses other contents under them."""

JUNK = 300_000


@dataclass(frozen=True)
class Kit:
    """A folder in which each layout is built when it is first asked for."""

    folder: Path

    def mlx(self) -> dict[str, Source]:
        """What mlx-whisper reads: `config.json`, `weights.safetensors`."""
        return self._nano("mlx")

    def npz(self) -> dict[str, Source]:
        """The same with `weights.npz`, as older repositories have it."""
        import numpy as np
        from safetensors.numpy import load_file

        target = self.folder / "npz" / "weights.npz"
        files = self.mlx()
        if not target.exists():
            target.parent.mkdir(parents=True)
            weights = files["weights.safetensors"]
            assert isinstance(weights, Path)
            with target.open("wb") as stream:
                np.savez(stream, **load_file(weights))
        return {"config.json": files["config.json"], "weights.npz": target}

    def quantised(self) -> dict[str, Source]:
        """4 bits per weight, `weights.npz`. Needs MLX."""
        source = self.mlx()["config.json"]
        assert isinstance(source, Path)
        return self._built("quantised", ("config.json", "weights.npz"), "quantised", str(source.parent))

    def wrong_layout(self) -> dict[str, Source]:
        """The weights under a name that mlx-whisper does not look for."""
        files = self.mlx()
        return {"config.json": files["config.json"], "model.safetensors": files["weights.safetensors"]}

    def transformers(self) -> dict[str, Source]:
        """What transformers reads, and weights for other libraries that nobody here should fetch."""
        junk = {
            name: bytes(JUNK) + name.encode() for name in ("pytorch_model.bin", "flax_model.msgpack", "tf_model.h5")
        }
        return {**self._nano("hf"), **junk}

    def openai(self) -> Path:
        """A checkpoint of OpenAI's layout. Needs torch."""
        path = self._nano("openai")[CHECKPOINT]
        assert isinstance(path, Path)
        return path

    def parakeet(self) -> dict[str, Source]:
        """A Parakeet of random weights. Needs parakeet-mlx."""
        return self._built("parakeet", ("config.json", "model.safetensors"), "parakeet_toy")

    def _nano(self, layout: str) -> dict[str, Source]:
        pattern = f"embedded/nano-*/{layout}"
        if not list(self.folder.glob(pattern)):
            unpack_apart(f"nano/{layout}", self.folder)
        (folder,) = self.folder.glob(pattern)
        return {path.name: path for path in sorted(folder.iterdir()) if path.name != "manifest.json"}

    def _built(self, name: str, files: Iterable[str], module: str, *arguments: str) -> dict[str, Source]:
        folder = self.folder / name
        paths: dict[str, Source] = {file: folder / file for file in files}
        if not folder.exists():
            folder.mkdir(parents=True)
            self._python(module, *arguments, str(folder))
        return paths

    def _python(self, *arguments: str) -> None:
        path = python_path(HERE, HERE.parent)
        environment = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            [sys.executable, "-m", *arguments], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{arguments[0]}: {done.stderr[-2000:]}")


def publish(hub: HubServer, name: str, files: dict[str, Source]) -> str:
    """Serve files as a repository, with what every repository has besides. Returns the commit."""
    everything = {".gitattributes": b"*.bin filter=lfs\n", "README.md": README, **files}
    return hub.add_repo(name, everything, lfs=set(filter(is_large, everything)))


def add_nano(hub: HubServer, kit: Kit) -> dict[str, str]:
    """Serve those that need neither torch nor MLX to be built. Returns their commits by name."""
    return {
        MLX: publish(hub, MLX, kit.mlx()),
        TRANSFORMERS: publish(hub, TRANSFORMERS, kit.transformers()),
        WRONG_LAYOUT: publish(hub, WRONG_LAYOUT, kit.wrong_layout()),
    }


def add_quantised(hub: HubServer, kit: Kit) -> str:
    """Serve the 4-bit model, which the catalogue prefers to the plain one."""
    return publish(hub, QUANTISED, kit.quantised())


def add_parakeet(hub: HubServer, kit: Kit) -> str:
    """Serve the Parakeet of the catalogue."""
    return publish(hub, PARAKEET, kit.parakeet())


def add_checkpoint(hub: HubServer, source: Source, file_name: str = CHECKPOINT) -> ModelSpec:
    """Serve a .pt file as OpenAI does. Returns its spec: the catalogue's hashes are those of the real files."""
    url = hub.add_checkpoint(file_name, source)
    required = RequiredFile((file_name,), Content(source).sha256)
    return ModelSpec("openai", url, (required,), english_only=file_name.endswith(".en.pt"))


def add_many(hub: HubServer, name: str = "org/many", count: int = 5000) -> str:
    """Serve a repository of very many small files in folders of a hundred. Returns the commit."""
    files: dict[str, Source] = {f"part-{n // 100:03}/{n:05}.json": b'{"n": %d}\n' % n for n in range(count)}
    return publish(hub, name, files)
