"""NVIDIA NeMo checkpoints to MLX: Parakeet (CTC, RNN-T, TDT, TDT-CTC) and Canary, each conversion with its proof."""

from __future__ import annotations
