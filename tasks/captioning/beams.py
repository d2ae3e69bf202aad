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
    no_repeat_ngram_size: int | None = None
    length_penalty: float | None = None
    early_stopping: bool = False

    def options(self) -> dict[str, Any]:
        """Return the options of ``generate`` besides the number of beams and the lengths."""
        return {
            "repetition_penalty": self.repetition_penalty,
            "no_repeat_ngram_size": self.no_repeat_ngram_size or 0,
            "length_penalty": 1.0 if self.length_penalty is None else self.length_penalty,
            "early_stopping": self.early_stopping,
        }
