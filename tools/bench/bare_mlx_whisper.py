"""mlx-whisper as its README shows it: one timed transcription per line of standard input, JSON lines out.

    bare_mlx_whisper.py MODEL_FOLDER SAMPLES.f32

Nothing of this project is imported: this is what the engine is measured against.
"""

from __future__ import annotations

import json
import sys
import time

import mlx_whisper
import numpy as np

folder, clip = sys.argv[1:]
samples = np.fromfile(clip, dtype="<f4")
for _ in sys.stdin:
    begin = time.perf_counter()
    result = mlx_whisper.transcribe(samples, path_or_hf_repo=folder, language="en", temperature=0.0)
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "text": str(result["text"]).strip()}), flush=True)
