"""pocketsphinx, called directly: one timed transcription per line of standard input, JSON lines out.

    bare_pocketsphinx.py - SAMPLES.f32

Nothing of this project is imported: this is what the engine is measured against.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from pocketsphinx import Decoder

clip = sys.argv[2]
decoder = Decoder(samprate=16_000, loglevel="FATAL")
pcm = (np.fromfile(clip, dtype="<f4") * 32767).astype(np.int16).tobytes()
for _ in sys.stdin:
    begin = time.perf_counter()
    # Cepstral means are adapted from one utterance to the next: without this each run would be another task.
    decoder.set_cmn(decoder.config["cmninit"])
    decoder.start_utt()
    decoder.process_raw(pcm, no_search=False, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    text = hypothesis.hypstr if hypothesis else ""
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "text": text.strip()}), flush=True)
