"""Speech-to-text implementations, one module each, behind the protocol of `backends.base`.

Nothing here imports a machine-learning library before a backend is told to, and nothing imports textual.
"""

from __future__ import annotations
