"""The parameters of a captioning trial. Without torch."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tasks.contract import Scalar
from tasks.contract.identity import content_of
from tasks.validation import check_choice, check_rule

Decoding = Literal["greedy", "sample", "beam"]
Precision = Literal["float32", "bfloat16"]
#: The filters of next tokens besides top-k and top-p, as in ``generate``.
FILTER_NAMES = ("min_p", "typical_p", "top_h", "epsilon_cutoff", "eta_cutoff")
SAMPLE_ONLY = ("temperature", "top_k", "top_p", *FILTER_NAMES, "num_samples")
ADDED = (  # after the first release; their defaults are None, as for trials without them
    *FILTER_NAMES,
    *("no_repeat_ngram_size", "length_penalty", "early_stopping", "num_samples", "clip"),
    *("meteor", "spice"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """Decoding of captions from an image-to-text model, scored against human captions."""

    decoding: Decoding = "sample"
    """The most likely token at each step, a sampled token, or beam search."""
    prompt: str = "a picture of "
    """The beginning of every caption, or the instruction of a chat model; @FILE: read it from a
    file. It is not scored."""
    top_k: int | None = 50
    """Sample from this many most likely tokens; none: from all. Only for sample. >= 1."""
    top_p: float | None = None
    """Sample from the fewest tokens with this total probability. Only for sample. 0 to 1."""
    temperature: float | None = 0.7
    """Divides the logits before sampling. Only for sample. > 0."""
    num_beams: int | None = 4
    """Number of beams. Only for beam. >= 2."""
    min_length: int = 10
    """Minimum number of tokens before the end: of a caption, or for BLIP of start, prompt and
    caption. >= 0."""
    max_length: int = 30
    """Maximum number of tokens, as for min_length, and with the end. >= 2; for BLIP longer than the
    prompt."""
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
    min_p: float | None = None
    """Drop tokens below this fraction of the highest probability. Only for sample. 0 to 1."""
    typical_p: float | None = None
    """Sample from the most typical tokens with this total probability. Only for sample. 0 to 1."""
    top_h: float | None = None
    """Sample from likely tokens up to this share of the entropy. Only for sample. 0 to 1."""
    epsilon_cutoff: float | None = None
    """Drop tokens below this probability. Only for sample. 0 to 1."""
    eta_cutoff: float | None = None
    """Drop tokens below a probability that falls with the entropy. Only for sample. 0 to 1."""
    no_repeat_ngram_size: int | None = None
    """Do not repeat a sequence of this many tokens; none: allow repeats. >= 1."""
    length_penalty: float | None = None
    """Exponent of the length that divides a beam's score; none: 1. Only for beam."""
    early_stopping: bool | None = None
    """Whether a beam search stops as soon as it has as many captions as beams; none: no. Only for
    beam."""
    num_samples: int | None = None
    """Captions per image that self-BLEU compares; other scores use the first. Only for sample.
    >= 2."""
    clip: str | None = None
    """Id or folder of a CLIP, or another image-text model, for CLIPScore and RefCLIPScore."""
    meteor: bool | None = None
    """Whether to score by METEOR, which needs Java and pycocoevalcap; none: no."""
    spice: str | None = None
    """Score by SPICE, with the jars of Stanford CoreNLP 3.6.0 in this folder, or in that of
    pycocoevalcap (default). Needs Java and pycocoevalcap."""

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
        for name in FILTER_NAMES:
            limit = getattr(self, name)
            check_rule(f"0 < {name} < 1", limit is None or 0 < limit < 1, f"{name}={limit}")
        samples = self.num_samples
        check_rule("num_samples >= 2", samples is None or samples >= 2, f"num_samples={samples}")
        exponent = self.length_penalty
        holds = exponent is None or math.isfinite(exponent)
        check_rule("length_penalty is finite", holds, f"length_penalty={exponent}")
        for name in ("num_images", "num_references", "no_repeat_ngram_size"):
            number = getattr(self, name)
            check_rule(f"{name} >= 1", number is None or number >= 1, f"{name}={number}")

    def resolved(self) -> Params:
        """Return the same decoding with unused parameters set to None, so that ids are equal."""
        unused: dict[str, Any] = {"meteor": self.meteor or None}
        if self.decoding != "sample":
            unused |= dict.fromkeys(SAMPLE_ONLY)
        elif self.temperature is None:
            unused["temperature"] = 1.0
        if self.decoding != "beam":
            unused |= dict.fromkeys(("num_beams", "length_penalty", "early_stopping"))
        else:
            unused["length_penalty"] = None if self.length_penalty == 1 else self.length_penalty
            unused["early_stopping"] = self.early_stopping or None
        return dataclasses.replace(self, **unused)

    def content(self) -> dict[str, Scalar]:
        """Return the part that a trial's id hashes."""
        values = content_of(self, ADDED)
        if self.clip is not None:  # NAME#FINGERPRINT, whose name can be a path
            values["clip"] = self.clip.rpartition("#")[2]
        if self.spice is not None:  # a folder of this machine
            values["spice"] = True
        return values
