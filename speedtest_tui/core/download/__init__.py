"""Downloads that are continued after whatever ended them, and published in the cache's own layout.

The parent's side is `request` (what to fetch, how a row looks) and `queue` (one child process per request). Everything
else runs in that child: `child` -> `hub` or `openai` -> `transfer`. Only the child imports huggingface_hub.
"""

from __future__ import annotations
