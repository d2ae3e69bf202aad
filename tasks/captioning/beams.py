"""The settings of a beam search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class BeamConfig:
    """How to search for the most likely caption."""

    num_beams: int
    min_length: int = 0
    max_length: int = 30
    repetition_penalty: float = 1.0

    def options(self) -> dict[str, Any]:
        """Return the options of ``generate`` besides the number of beams and the lengths."""
        return {"repetition_penalty": self.repetition_penalty}
