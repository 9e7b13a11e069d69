"""One scan of a cache in a process of its own, after its imports: `python one_scan.py ours|theirs|offers FOLDER`.

"offers" reads the caches that the environment names.

Prints JSON: seconds, seconds of processor time, and how many repositories were found.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sized
from pathlib import Path


def prepared(whose: str, cache: Path) -> Callable[[], Sized]:
    """The scan, with everything imported that it needs. Its result is kept as a whole, as screens and plans need it."""
    if whose == "ours":
        from speedtest_tui.core.models.scan import scan

        return lambda: list(scan([("hf", cache)]))
    if whose == "offers":
        from backends.registry import BUILT_IN
        from speedtest_tui.core.jobs.offers import offers

        return lambda: [*offers(BUILT_IN)][-1].offers
    from huggingface_hub import scan_cache_dir

    return lambda: scan_cache_dir(cache).repos


def main() -> int:
    action = prepared(sys.argv[1], Path(sys.argv[2]))
    begin, begin_processor = time.perf_counter(), time.process_time()
    found = action()
    end, end_processor = time.perf_counter(), time.process_time()
    print(json.dumps([end - begin, end_processor - begin_processor, len(found)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
