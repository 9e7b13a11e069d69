"""NVIDIA's Parakeet models on parakeet-mlx."""

from __future__ import annotations
