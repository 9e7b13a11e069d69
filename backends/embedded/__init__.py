"""The nano models that this package carries, and what writes each in the layouts that libraries read.

Nothing here imports a model library before it is asked to write; numpy and safetensors come in at the same moment.
"""

from __future__ import annotations
