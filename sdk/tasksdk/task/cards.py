"""Names that the older API's base module exports."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")

DYNAMIC_PARTITIONS = "_uap"
MODEL_CARD = "_ucm"
DATA_CARD = "_uc"
UNSET_CARD = "_ucd"
