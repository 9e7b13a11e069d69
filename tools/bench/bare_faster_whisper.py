"""faster-whisper, called directly: one timed transcription per line of standard input, JSON lines out.

    bare_faster_whisper.py MODEL_FOLDER SAMPLES.f32

Nothing of this project is imported: this is what the engine is measured against.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from faster_whisper import WhisperModel

folder, clip = sys.argv[1:]
model = WhisperModel(folder)
samples = np.fromfile(clip, dtype="<f4")
for _ in sys.stdin:
    begin = time.perf_counter()
    segments, _info = model.transcribe(samples, language="en", beam_size=1, temperature=0.0)
    text = " ".join([segment.text.strip() for segment in segments])
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "text": text.strip()}), flush=True)
