"""How good a text is, measured against what was really said."""

from __future__ import annotations

import warnings

# A pattern of this library holds "\X": Python 3.12 and newer say so on the terminal when they first compile it.
warnings.filterwarnings("ignore", category=SyntaxWarning, module=r".*whisper_normalizer")
