"""The nano model that this package carries, and what writes it in the layout that each library reads.

Nothing here imports a model library before it is asked to write; numpy and safetensors come in at the same moment.
"""

from __future__ import annotations
