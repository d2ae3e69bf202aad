"""The parameters of a segmentation trial. Without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from tasks.contract import Scalar
from tasks.contract.identity import content_of
from tasks.models.lora_params import LORA, check_lora
from tasks.models.training_params import TRAINING, check_training
from tasks.precision import Precision
from tasks.validation import check_choice, check_rule

Trainable = Literal["head", "lora", "full"]
ADDED = (*LORA, *TRAINING)  # after the first release
Head = Literal["linear", "upernet", "own"]
Loss = Literal["cross_entropy", "dice", "focal"]
Evaluation = Literal["whole", "slide"]


MAX_SCORES = 2**23  # class scores of pixels that an evaluation has in memory at a time


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """Training of a segmentation head on a frozen backbone, or of a full model."""

    trainable: Trainable = "head"
    """Train a head on a frozen backbone, a head and LoRA adapters of the backbone, or the full
    model."""
    head: Head = "linear"
    """linear: a 1 x 1 convolution of the last features; upernet: a pyramid of four levels; own:
    the head of a semantic segmentation checkpoint (trainable=lora or full)."""
    head_width: int = 32
    """Channels of an upernet head. >= 8, a multiple of 8."""
    loss: Loss = "cross_entropy"
    """The loss per pixel: cross_entropy or focal; or dice, a soft overlap per class."""
    focal_gamma: float = 2.0
    """Exponent of the focal loss; 0 gives cross-entropy. >= 0."""
    lr: float = 1e-3
    """Initial learning rate of AdamW, which falls to 0 as (1 - step / steps) ** 0.9. > 0."""
    weight_decay: float = 1e-2
    """Weight decay of AdamW. >= 0."""
    epochs: int = 4
    """Passes over the training images; 0 only evaluates the initial model. >= 0."""
    batch_size: int = 16
    """Images per step; an incomplete last batch is left out. >= 1."""
    num_images: int | None = None
    """Train only on the first images of train, this many; none: on all. >= 1."""
    augment: bool = False
    """Whether to train on random crops at random scales, mirrored and with changed colors."""
    image_size: int = 128
    """Side in pixels to which a whole image is resized; with crops, the shorter side. >= 16."""
    crop_size: int = 128
    """Side in pixels of random crops (augment) and of sliding windows (slide). >= 16."""
    evaluation: Evaluation = "whole"
    """Evaluate each whole image, resized, or sliding windows that overlap by a third."""
    flip: bool = False
    """Whether to average the class probabilities of an image and of its mirror image."""
    split: str = "val"
    """The split that is evaluated."""
    precision: Precision = "auto"
    """Precision of the backbone; auto: bfloat16 where the hardware supports it."""
    lora_rank: int | None = None
    """Rank of the LoRA adapters; none: 8. Only for lora. >= 1."""
    lora_alpha: float | None = None
    """Factor of the adapters' output, divided by lora_rank; none: 16. Only for lora. > 0."""
    lora_targets: str | None = None
    """Linear layers with adapters: all-linear, or a regular expression for their names in the
    backbone; none: all-linear. Only for lora."""
    warmup_ratio: float | None = None
    """Share of all steps over which the learning rate rises from 0 to lr; none: 0. 0 to below 1."""
    layer_decay: float | None = None
    """Factor of the learning rate from a layer of the backbone to the one below it; none: 1. Only
    for full. Above 0, at most 1."""
    gradient_checkpointing: bool | None = None
    """Whether to compute the activations of each layer again in the backward pass, which saves
    memory and takes longer; none: no. Only for lora and full."""

    def __post_init__(self) -> None:
        check_choice("trainable", self.trainable, get_args(Trainable))
        check_choice("head", self.head, get_args(Head))
        check_choice("loss", self.loss, get_args(Loss))
        check_choice("evaluation", self.evaluation, get_args(Evaluation))
        check_choice("precision", self.precision, get_args(Precision))
        width = self.head_width
        check_rule(
            "head_width is a positive multiple of 8",
            width >= 8 and width % 8 == 0,
            f"head_width={width}",
        )
        gamma = self.focal_gamma
        check_rule("focal_gamma >= 0", 0 <= gamma < math.inf, f"focal_gamma={gamma}")
        check_rule("lr > 0", 0 < self.lr < math.inf, f"lr={self.lr}")
        decay = self.weight_decay
        check_rule("weight_decay >= 0", 0 <= decay < math.inf, f"weight_decay={decay}")
        check_rule("epochs >= 0", self.epochs >= 0, f"epochs={self.epochs}")
        check_rule("batch_size >= 1", self.batch_size >= 1, f"batch_size={self.batch_size}")
        number = self.num_images
        check_rule("num_images >= 1", number is None or number >= 1, f"num_images={number}")
        check_rule("image_size >= 16", self.image_size >= 16, f"image_size={self.image_size}")
        check_rule("crop_size >= 16", self.crop_size >= 16, f"crop_size={self.crop_size}")
        check_rule("split must not be train", self.split != "train", f"split={self.split}")
        if self.head == "own" and self.trainable == "head":
            raise ValueError("head=own needs trainable=lora or full; head=linear or upernet is new")
        check_lora(self)
        check_training(self)

    def content(self) -> dict[str, Scalar]:
        """Return the part that a trial's id hashes."""
        return content_of(self, ADDED)

    @property
    def training_size(self) -> int:
        """Side in pixels of a training input."""
        return self.crop_size if self.augment else self.image_size

    @property
    def window_size(self) -> int | None:
        """Side in pixels of sliding windows; None if whole images are evaluated."""
        return self.crop_size if self.evaluation == "slide" else None
