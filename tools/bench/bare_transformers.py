"""transformers' own pipeline: one timed transcription per line of standard input, JSON lines out.

    bare_transformers.py MODEL_FOLDER SAMPLES.f32

Nothing of this project is imported: this is what the engine is measured against.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import torch
from transformers import pipeline

folder, clip = sys.argv[1:]
device = "cuda:0" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
recognise = pipeline(
    "automatic-speech-recognition",
    model=folder,
    dtype=torch.float32 if device == "cpu" else torch.float16,
    device=device,
    model_kwargs={"attn_implementation": "sdpa"},
)
samples = np.fromfile(clip, dtype="<f4")
for _ in sys.stdin:
    begin = time.perf_counter()
    # One chunk on the demo clip, so the batch size decides nothing; the nano model takes no language.
    result = recognise({"raw": samples, "sampling_rate": 16_000}, chunk_length_s=20, batch_size=4)
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "text": str(result["text"]).strip()}), flush=True)
