"""pywhispercpp, called directly: one timed transcription per line of standard input, JSON lines out.

    bare_whisper_cpp.py MODEL.bin SAMPLES.f32

Nothing of this project is imported: this is what the engine is measured against.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from pywhispercpp.model import Model

file, clip = sys.argv[1:]
model = Model(file, temperature_inc=0.0, suppress_nst=True, print_progress=False)
samples = np.fromfile(clip, dtype="<f4")
for _ in sys.stdin:
    begin = time.perf_counter()
    segments = model.transcribe(samples, language="en")
    text = " ".join([segment.text for segment in segments])
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "text": text.strip()}), flush=True)
