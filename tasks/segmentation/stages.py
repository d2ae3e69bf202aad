"""The stages of segmentation trials: feature maps of a frozen backbone, and masks.

N images, W windows, D width, h x w grid, S side of the labels
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from tasks.contract import Source, Stage, Trial
from tasks.interrupt import check_interrupt
from tasks.models import folders
from tasks.progress import report_progress
from tasks.segmentation import crops
from tasks.segmentation.augment import augment
from tasks.segmentation.params import Params
from tasks.segmentation.registry import load_split

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
BATCH = 32
#: The loss is computed on labels at this share of an input's side, as a compromise between the
#: grid of the features and the pixels.
LABEL_STRIDE = 2
LEVELS = {"linear": 1, "upernet": 4}  # of the backbone that a head takes
#: Inputs are encoded into the levels of all heads, so that heads share them, if these levels take
#: at most this many bytes.
SHARED_BYTES = 1e9


def encode_training(
    *,
    model: Source,
    data: Source,
    precision: str,
    num_levels: int,
    num_images: int | None,
    image_size: int,
    crop_size: int | None,
    draw: tuple[int, int] | None,
    device: str,
) -> Arrays:
    """Encode the training images: ``level0`` [N, D, h, w] and on, and ``labels`` uint8 [N, S, S].

    With ``draw`` = (seed, epoch), the images are augmented and cropped to ``crop_size``.
    """
    split = load_split(data.name, "train")
    number = len(split) if num_images is None else min(num_images, len(split))
    labels: list[Array] = []

    def inputs() -> Iterator[Image.Image]:
        for index in range(number):
            image, mask = training_input(split, index, image_size, crop_size, draw)
            labels.append(mask)
            yield image

    levels = _encode(model, precision, num_levels, inputs(), number, device)
    return {**levels, "labels": np.stack(labels)}


def training_input(
    split: Any, index: int, image_size: int, crop_size: int | None, draw: tuple[int, int] | None
) -> tuple[Image.Image, Array]:
    """Return a training image and its labels, augmented by (seed, epoch) if there is a draw."""
    image, mask = split.load(index), split.load_mask(index)
    if draw is None or crop_size is None:
        box = crops.whole(*mask.shape)
        labels = crops.crop_mask(mask, box, image_size // LABEL_STRIDE)
        return crops.crop_image(image, box, image_size), labels
    return augment(
        image,
        mask,
        image_size=image_size,
        crop_size=crop_size,
        label_size=crop_size // LABEL_STRIDE,
        rng=np.random.default_rng([*draw, index]),
    )


def encode_evaluation(
    *,
    model: Source,
    data: Source,
    precision: str,
    num_levels: int,
    split: str,
    image_size: int,
    crop_size: int | None,
    flip: bool,
    device: str,
) -> Arrays:
    """Encode the windows of a split's images, in order: ``level0`` [W, D, h, w] and on.

    Without ``crop_size``, the only window of an image is the whole image.
    """
    images = load_split(data.name, split)

    def inputs() -> Iterator[Image.Image]:
        for index in range(len(images)):
            image = images.load(index)
            for box, mirrored in crops.places(
                image.height, image.width, image_size, crop_size, flip=flip
            ):
                yield crops.crop_window(image, box, crop_size or image_size, mirrored=mirrored)

    return _encode(model, precision, num_levels, inputs(), len(images), device)


def read_masks(*, data: Source, split: str) -> Arrays:
    """Return the ``labels`` (uint8) of all pixels of a split, and each mask's ``shape`` [N, 2]."""
    images = load_split(data.name, split)
    masks = []
    for index in range(len(images)):
        check_interrupt()
        report_progress(index, len(images))
        masks.append(images.load_mask(index))
    return {
        "labels": np.concatenate([mask.ravel() for mask in masks]),
        "shape": np.array([mask.shape for mask in masks]),
    }


def _encode(
    model: Source,
    precision: str,
    num_levels: int,
    images: Iterator[Image.Image],
    total: int,
    device: str,
) -> Arrays:
    """Return the frozen backbone's feature maps of all images, as float16."""
    import torch

    from tasks.autocast import autocast
    from tasks.segmentation.network import load_pyramid

    pyramid, normalize = load_pyramid(model.name, model.fingerprint, num_levels, device)
    found: list[list[Array]] = []
    for number, batch in enumerate(_batches(images)):
        check_interrupt()
        report_progress(min(number * BATCH, total), total)
        pixels = normalize(torch.from_numpy(crops.to_pixels(batch)).to(device))
        with (
            torch.inference_mode(),
            autocast(device, precision),
        ):
            levels = pyramid(pixels)
        # Networks may return another memory format, which `vmap` over stacked heads refuses.
        found.append([level.half().contiguous().cpu().numpy() for level in levels])
    return {
        f"level{number}": np.concatenate(parts)
        for number, parts in enumerate(zip(*found, strict=True))
    }


def _batches(images: Iterator[Image.Image]) -> Iterator[list[Image.Image]]:
    batch: list[Image.Image] = []
    for image in images:
        batch.append(image)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def levels_of(value: Any, head: str) -> list[Array]:
    """Return the feature maps for a head in a stage's value, from fine to coarse."""
    names = [name for name in sorted(value) if name.startswith("level")]
    return [value[name] for name in names[-LEVELS[head] :]]


def training_stage(trial: Trial, epoch: int) -> Stage:
    """Return the stage that encodes the training images of an epoch, which starts at 1."""
    params: Params = trial.params
    number = params.num_images or len(load_split(trial.data.name, "train"))
    args = _common(trial, number, params.training_size) | {
        "num_images": params.num_images,
        "image_size": params.image_size,
        "crop_size": params.crop_size if params.augment else None,
        "draw": (trial.seed, epoch) if params.augment else None,
    }
    return Stage(function=encode_training, args=args, on_device=True)


def evaluation_stage(trial: Trial) -> Stage:
    """Return the stage that encodes the windows of the evaluated split."""
    params: Params = trial.params
    number = len(load_split(trial.data.name, params.split)) * (2 if params.flip else 1)
    args = _common(trial, number, params.image_size) | {
        "split": params.split,
        "image_size": params.image_size,
        "crop_size": params.window_size,
        "flip": params.flip,
    }
    return Stage(function=encode_evaluation, args=args, on_device=True)


def masks_stage(trial: Trial) -> Stage:
    """Return the stage that reads the masks of the evaluated split."""
    return Stage(function=read_masks, args={"data": trial.data, "split": trial.params.split})


def needed(trial: Trial) -> list[Stage]:
    """Return the stages of a trial; one that trains the encoder encodes images itself."""
    params: Params = trial.params
    stages = [masks_stage(trial)]
    if params.trainable == "head":
        stages.append(evaluation_stage(trial))
        stages += [training_stage(trial, epoch) for epoch in range(1, params.epochs + 1)]
    return list(dict.fromkeys(stages))


def _common(trial: Trial, number: int, size: int) -> dict[str, Any]:
    """Return the arguments of both encoding stages, for a number of inputs of size x size pixels.

    Heads share no sliding windows, whose number is known only from each image.
    """
    params: Params = trial.params
    per_pixel = bytes_per_pixel(trial.model) if params.evaluation == "whole" else None
    shares = per_pixel is not None and number * size**2 * per_pixel <= SHARED_BYTES
    return {
        "model": trial.model,
        "data": trial.data,
        "precision": params.precision,
        "num_levels": max(LEVELS.values()) if shares else LEVELS[params.head],
    }


@lru_cache(maxsize=8)  # a plan asks for every trial
def bytes_per_pixel(model: Source) -> float | None:
    """Return the bytes of the levels of all heads per pixel of an input.

    None for an encoder that is no plain vision transformer, such as a ResNet, or whose
    ``config.json`` does not have its width and patch size.
    """
    config = folders.read_config(folders.find_folder(model.name))
    config = config.get("vision_config") or config.get("backbone_config") or config
    width, patch = config.get("hidden_size"), config.get("patch_size")
    if "depths" in config or not isinstance(width, int) or not isinstance(patch, int):
        return None
    return max(LEVELS.values()) * np.dtype(np.float16).itemsize * width / patch**2
