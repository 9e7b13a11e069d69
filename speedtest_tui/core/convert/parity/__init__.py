"""The proof of a conversion: the source weights in plain PyTorch against the result in MLX, on the same input."""

from __future__ import annotations
