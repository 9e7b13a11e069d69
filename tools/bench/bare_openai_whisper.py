"""openai-whisper, called directly: one timed transcription per line of standard input, JSON lines out.

    bare_openai_whisper.py CHECKPOINT.pt SAMPLES.f32

Nothing of this project is imported: this is what the engine is measured against.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import whisper

file, clip = sys.argv[1:]
model = whisper.load_model(file)
samples = np.fromfile(clip, dtype="<f4")
for _ in sys.stdin:
    begin = time.perf_counter()
    result = model.transcribe(samples, language="en", temperature=0.0, fp16=model.device.type != "cpu")
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "text": str(result["text"]).strip()}), flush=True)
