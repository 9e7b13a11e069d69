"""Downloads that are resumed after whatever ended them, and published in the cache's own layout.

The parent's side is `request` (what to download, how a row looks) and `queue` (one child process per request). All
else runs in that child: `child` -> `hub` or `openai` -> `transfer`. Only the child imports huggingface_hub.
"""

from __future__ import annotations
