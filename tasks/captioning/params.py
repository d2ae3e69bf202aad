"""The parameters of a captioning trial. Without torch."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal, get_args

from tasks.validation import check_choice, check_rule

Decoding = Literal["greedy", "sample", "beam"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """Decoding of captions from an image-to-text model, scored against human captions."""

    decoding: Decoding = "sample"
    """The most likely token at each step, a sampled token, or beam search."""
    prompt: str = "a picture of "
    """The beginning of every caption; it is not scored."""
    top_k: int | None = 50
    """Sample from this many most likely tokens; none: from all. Only for sample. >= 1."""
    top_p: float | None = None
    """Sample from the fewest tokens with this total probability. Only for sample. 0 to 1."""
    temperature: float | None = 0.7
    """Divides the logits before sampling. Only for sample. > 0."""
    num_beams: int | None = 4
    """Number of beams. Only for beam. >= 2."""
    min_length: int = 10
    """Minimum number of tokens of start, prompt and caption before the end. >= 0."""
    max_length: int = 30
    """Maximum number of tokens of start, prompt, caption and end. >= 2, longer than the prompt."""
    repetition_penalty: float = 1.0
    """Divides (or multiplies, if negative) the logits of tokens used before. > 0; 1: no penalty."""
    faithful: bool = False
    """Reproduce two bugs of the lab: text after the end, and prompts cut off by characters."""
    split: str = "val"
    """The split whose images are captioned."""
    num_images: int | None = None
    """Caption only this many images of the split; none: all. >= 1."""
    num_references: int | None = None
    """Score against only this many references per image; none: all. >= 1."""
    precision: Precision = "float32"
    """The precision of the model's computations."""

    def __post_init__(self) -> None:
        check_choice("decoding", self.decoding, get_args(Decoding))
        check_choice("precision", self.precision, get_args(Precision))
        check_rule("top_k >= 1", self.top_k is None or self.top_k >= 1, f"top_k={self.top_k}")
        check_rule(
            "0 < top_p <= 1", self.top_p is None or 0 < self.top_p <= 1, f"top_p={self.top_p}"
        )
        warm = self.temperature
        holds = warm is None or (warm > 0 and math.isfinite(warm))
        check_rule("temperature > 0", holds, f"temperature={warm}")
        beams = self.num_beams
        check_rule("num_beams >= 2", beams is None or beams >= 2, f"num_beams={beams}")
        if self.decoding == "beam":
            check_rule("num_beams >= 2", beams is not None, "num_beams=None")
        check_rule("min_length >= 0", self.min_length >= 0, f"min_length={self.min_length}")
        lengths = f"min_length={self.min_length}, max_length={self.max_length}"
        check_rule("min_length < max_length", self.min_length < self.max_length, lengths)
        check_rule("max_length >= 2", self.max_length >= 2, lengths)
        penalty = self.repetition_penalty
        holds = penalty > 0 and math.isfinite(penalty)
        check_rule("repetition_penalty > 0", holds, f"repetition_penalty={penalty}")
        for name in ("num_images", "num_references"):
            number = getattr(self, name)
            check_rule(f"{name} >= 1", number is None or number >= 1, f"{name}={number}")

    def resolved(self) -> Params:
        """Return the same decoding with unused parameters set to None, so that ids are equal."""
        if self.decoding == "sample":
            return dataclasses.replace(
                self,
                num_beams=None,
                temperature=1.0 if self.temperature is None else self.temperature,
            )
        beams = self.num_beams if self.decoding == "beam" else None
        return dataclasses.replace(self, top_k=None, top_p=None, temperature=None, num_beams=beams)
