"""whisper-mps, called directly: one timed transcription per line of standard input, JSON lines out.

    bare_whisper_mps.py CHECKPOINT.pt SAMPLES.f32

Nothing of this project is imported: this is what the engine is measured against.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import time
from pathlib import Path

import mlx.core as mx
import numpy as np
from whisper_mps.whisper import load_models

checkpoint, clip = Path(sys.argv[1]), sys.argv[2]
name = checkpoint.stem
if name not in load_models._MODELS:
    # The library knows OpenAI's checkpoints only, by URL; the folder before the name is the expected hash.
    load_models._MODELS[name] = f"https://localhost/{hashlib.sha256(checkpoint.read_bytes()).hexdigest()}/{name}.pt"
    load_models._ALIGNMENT_HEADS[name] = None
# Not `from whisper_mps.whisper import transcribe`: the package puts a function of that name over its module.
module = importlib.import_module("whisper_mps.whisper.transcribe")
module.ModelHolder.model = load_models.load_model(name, download_root=str(checkpoint.parent), dtype=mx.float16)
module.ModelHolder.model_name = name
samples = np.fromfile(clip, dtype="<f4")
for _ in sys.stdin:
    begin = time.perf_counter()
    result = module.transcribe(samples, model=name, language="en", temperature=0.0)
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "text": str(result["text"]).strip()}), flush=True)
