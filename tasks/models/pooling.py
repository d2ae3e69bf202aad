"""Turn an encoder's output into features, in the way that its own model does.

The source of the pooling functions is also written into the loaders of exported models.

B batch, T text tokens, S image tokens, C channels, D an encoder's width
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tasks.contract import ModelError
from tasks.models.folders import POOLING, read_json

Read = Callable[[Any, Mapping[str, Tensor]], Tensor]

#: The poolings of sentence-transformers by the flags that select them.
SENTENCE_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
}


def pooler_output(out: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the model's own pooled output, [B, D] or [B, D, 1, 1], as [B, D]."""
    return out.pooler_output.flatten(1)  # type: ignore[no-any-return]


def first_token(out: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the first token, such as [CLS]."""
    return out.last_hidden_state[:, 0]  # type: ignore[no-any-return]


def last_token(out: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the last token."""
    return out.last_hidden_state[:, -1]  # type: ignore[no-any-return]


def all_tokens(out: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return all tokens [B, S, D], for heads that pool them."""
    return out.last_hidden_state  # type: ignore[no-any-return]


def valid_tokens(out: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return all tokens [B, S, D], with zeros for those of padding."""
    mask = inputs["pixel_attention_mask"][..., None].to(out.last_hidden_state.dtype)
    return out.last_hidden_state * mask  # type: ignore[no-any-return]


def mean_token(out: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the mean of all image tokens."""
    return out.last_hidden_state.mean(dim=1)  # type: ignore[no-any-return]


def mean_position(out: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the mean over the positions of a convolutional network's output [B, C, H, W]."""
    return out.last_hidden_state.mean(dim=(2, 3))  # type: ignore[no-any-return]


def mean_text_token(out: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the mean of the tokens [B, T, D] that are not padding."""
    states = out.last_hidden_state
    mask = inputs["attention_mask"][..., None].to(states.dtype)
    return (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)  # type: ignore[no-any-return]


def max_text_token(out: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the maximum over the tokens [B, T, D] that are not padding."""
    states = out.last_hidden_state
    mask = inputs["attention_mask"][..., None].to(states.dtype)
    return states.masked_fill(mask == 0, float("-inf")).amax(dim=1)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Pooling:
    """A pooling that depends on the encoder's output: ``choose(output)`` returns the function."""

    choose: Callable[[Any], Read]

    def __call__(self, out: Any, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the features [B, D]."""
        return self.choose(out)(out, inputs)


def image_pooling(model: nn.Module, *, has_pooler: bool) -> Pooling:
    """Return the pooling of an image encoder.

    It is the model's ``pooler_output`` if the model has one and its weights were saved: CLIP's
    [CLS] after the last layer norm, SigLIP's attention pooling, DINOv2's [CLS], the average of a
    convolutional network. Otherwise it is [CLS], or the mean of all tokens if there is no [CLS].
    """
    has_cls = any(name.rpartition(".")[2] == "cls_token" for name, _ in model.named_parameters())

    def choose(out: Any) -> Read:
        if has_pooler and getattr(out, "pooler_output", None) is not None:
            return pooler_output
        if out.last_hidden_state.ndim == 4:
            return mean_position
        return first_token if has_cls else mean_token

    return Pooling(choose)


def tower_text_pooling(*, has_pooler: bool) -> Pooling:
    """Return the pooling of the text encoder of an image-text model, such as CLIP's end token."""

    def choose(out: Any) -> Read:
        has_output = has_pooler and getattr(out, "pooler_output", None) is not None
        return pooler_output if has_output else first_token

    return Pooling(choose)


def sentence_pooling(folder: Path) -> Pooling:
    """Return the pooling in ``1_Pooling/config.json`` of sentence-transformers; mean by default.

    Raises:
        ModelError: if the file selects an unsupported pooling, or several.
    """
    file = folder / POOLING
    options = read_json(file) if file.is_file() else {}
    flags = [key for key, on in options.items() if key.startswith("pooling_mode_") and on is True]
    names = options.get("pooling_mode")  # newer releases write names instead of flags
    kinds = [SENTENCE_POOLING.get(key, key) for key in flags]
    kinds += [names] if isinstance(names, str) else list(names or [])
    if len(kinds) > 1 or not set(kinds) <= set(SENTENCE_POOLING.values()):
        raise ModelError(
            f"{file} selects {', '.join(map(str, flags or kinds))}; "
            "one of cls, max, mean is supported"
        )
    functions = {"cls": first_token, "max": max_text_token, "mean": mean_text_token}
    read = functions[kinds[0] if kinds else "mean"]
    return Pooling(lambda out: read)
