"""Load image encoders and segmentation checkpoints, and check their files.

B batch, C classes, h x w grid
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from tasks.contract import ModelError
from tasks.models.loading import load_checked, load_preprocessor, silence_transformers
from tasks.models.pair import load_folder
from tasks.segmentation import checkpoints, mask2former
from tasks.segmentation.heads import apply_head
from tasks.segmentation.mask2former import Mask2Former
from tasks.segmentation.pyramid import Pyramid


@dataclass(frozen=True, kw_only=True)
class Normalizer:
    """Mean and standard deviation of a model's input, per channel of 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return pixels [B, 3, H, W], 0 to 1, as inputs of the model."""
        mean, std = (_constant(each, pixels.device) for each in (self.mean, self.std))
        return (pixels - mean) / std


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return a value per channel [3, 1, 1], which is copied to a device only once."""
    return torch.tensor(values, device=device)[:, None, None]


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """An image encoder, its normalization, and its image processor for exports."""

    encoder: Any
    submodule: str  # the encoder's name in the model; "" if it is the whole model
    normalize: Normalizer
    processor: Any


def load_backbone(name: str) -> Backbone:
    """Load the image encoder of a model: a whole encoder, or that of a larger model.

    Raises:
        ModelError: if it cannot be loaded.
    """
    silence_transformers()
    if checkpoints.is_segmenter(name):
        model = load_segmenter(name)
        encoder, submodule = encoder_of(model), encoder_name(model)
        processor = load_processor(name)
    else:
        found = load_folder(name, "image")
        submodule, processor = found.submodule, found.preprocessor
        encoder = found.model.get_submodule(submodule)
    return Backbone(
        encoder=encoder,
        submodule=submodule,
        normalize=_normalizer(processor),
        processor=processor,
    )


def encoder_of(model: Any) -> Any:
    """Return the image encoder of a semantic segmentation checkpoint."""
    if type(model).__name__ == checkpoints.MASK2FORMER:
        return mask2former.encoder_of(model)
    return model.base_model if model.base_model is not model else model.backbone


def encoder_name(model: Any) -> str:
    """Return the name of the image encoder in a semantic segmentation checkpoint."""
    encoder = encoder_of(model)
    return str(next(name for name, each in model.named_modules() if each is encoder))


def load_processor(name: str) -> Any:
    """Load the image processor of a model.

    Raises:
        ModelError: if it cannot be loaded.
    """
    return load_preprocessor(name, "image processor", transformers.AutoImageProcessor)


def _normalizer(processor: Any) -> Normalizer:
    if not getattr(processor, "do_normalize", True):
        return Normalizer(mean=(0.0,) * 3, std=(1.0,) * 3)
    return Normalizer(mean=tuple(processor.image_mean), std=tuple(processor.image_std))


def load_segmenter(name: str, classes: Sequence[str] | None = None) -> Any:
    """Load a semantic segmentation checkpoint.

    With ``classes``, its last layer gets that many outputs; if the checkpoint has another number,
    that layer starts at random.

    Raises:
        ModelError: if it cannot be loaded.
    """
    options: dict[str, Any] = {}
    if classes is not None:
        options = {
            "id2label": dict(enumerate(classes)),
            "label2id": {label: index for index, label in enumerate(classes)},
            "ignore_mismatched_sizes": True,
        }
    is_mask2former = checkpoints.is_mask2former(name)
    kind = checkpoints.MASK2FORMER if is_mask2former else "AutoModelForSemanticSegmentation"
    loader = _WithOptions(getattr(transformers, kind), options)
    return load_checked(name, loader, lambda key: not key.startswith("criterion."))


class _WithOptions:
    """A loader whose ``from_pretrained`` has further options."""

    def __init__(self, loader: Any, options: Mapping[str, Any]) -> None:
        self._loader, self._options = loader, options

    def from_pretrained(self, folder: Any, **options: Any) -> Any:
        return self._loader.from_pretrained(folder, **options, **self._options)


@lru_cache(maxsize=1)
def load_pyramid(
    name: str, fingerprint: str, num_levels: int, device: str
) -> tuple[Pyramid, Normalizer]:
    """Return a frozen encoder on a device; the last one stays loaded.

    ``fingerprint`` distinguishes changed files under one name.
    """
    found = load_backbone(name)
    pyramid = Pyramid(found.encoder, num_levels).to(device).eval().requires_grad_(False)
    return pyramid, found.normalize


class Segmenter(nn.Module):
    """A full network: pixels [B, 3, H, W] to class scores [B, C, h, w]."""

    def __init__(self, pyramid: Pyramid, head: Mapping[str, Tensor], normalize: Normalizer) -> None:
        super().__init__()
        self.pyramid, self.normalize = pyramid, normalize
        # A dot is not allowed in the name of a parameter.
        self.head = nn.ParameterDict({k.replace(".", "/"): v for k, v in head.items()})

    def forward(self, pixels: Tensor) -> Tensor:
        """Return class scores of pixels from 0 to 1."""
        weights = {name.replace("/", "."): value for name, value in self.head.items()}
        return apply_head(weights, self.pyramid(self.normalize(pixels)))

    @property
    def encoder(self) -> nn.Module:
        """The part that has adapters."""
        return self.pyramid.encoder


class Checkpoint(nn.Module):
    """A semantic segmentation checkpoint with its own head, as a ``Segmenter``."""

    def __init__(self, model: Any, normalize: Normalizer) -> None:
        super().__init__()
        self.model, self.normalize = model, normalize

    def forward(self, pixels: Tensor) -> Tensor:
        """Return class scores of pixels from 0 to 1."""
        return self.model(pixel_values=self.normalize(pixels)).logits  # type: ignore[no-any-return]

    @property
    def encoder(self) -> nn.Module:
        """The part that has adapters."""
        return encoder_of(self.model)  # type: ignore[no-any-return]


Network = Segmenter | Checkpoint | Mask2Former


def load_own(name: str, classes: Sequence[str], seed: int) -> Checkpoint | Mask2Former:
    """Load a checkpoint with its own head; a replaced last layer is drawn by the seed.

    Raises:
        ModelError: if the model is no semantic segmentation checkpoint.
    """
    if not checkpoints.is_segmenter(name):
        raise ModelError(f"{name} has no segmentation head of its own; use head=linear or upernet")
    silence_transformers()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = load_segmenter(name, classes)
    kind = Mask2Former if checkpoints.is_mask2former(name) else Checkpoint
    return kind(model, _normalizer(load_processor(name)))
