"""NVIDIA's Canary on MLX: FastConformer encoder (parakeet-mlx's), Transformer decoder, prompts, tokenizers, searches.

Nothing here imports MLX before it is used, except `model`, which is made of it.
"""

from __future__ import annotations
