"""Train a network, the head and the backbone or its adapters, one epoch at a time.

B batch, C classes, h x w grid
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks.adamw import adamw_step
from tasks.arrays import select
from tasks.autocast import autocast
from tasks.contract import ModelError, State, Trial
from tasks.interrupt import check_interrupt
from tasks.models import layer_scales
from tasks.models.checkpointing import checkpoint_layers
from tasks.progress import report_progress
from tasks.segmentation import adapters, crops, network, stages
from tasks.segmentation.evaluation import Truth
from tasks.segmentation.heads import head_shapes, init_head
from tasks.segmentation.loop import draw_batches, learning_rate
from tasks.segmentation.losses import segmentation_loss
from tasks.segmentation.mask2former import Mask2Former, class_scores
from tasks.segmentation.masked import MaskedSplit
from tasks.segmentation.network import Network
from tasks.segmentation.params import Params
from tasks.segmentation.pyramid import Pyramid
from tasks.segmentation.registry import load_split
from tasks.segmentation.resizing import resize_scores
from tasks.stacks import check_losses
from tasks.transfer import to_device


def build(trial: Trial, classes: Sequence[str]) -> Network:
    """Return the network before training; what is not in the checkpoint is drawn by the seed.

    Raises:
        ModelError: if the model cannot be loaded, or if no layer matches ``lora_targets``.
    """
    model = _build_plain(trial, classes)
    if trial.params.trainable == "lora":
        adapters.add(model, trial)
    return model


def _build_plain(trial: Trial, classes: Sequence[str]) -> Network:
    params: Params = trial.params
    if params.head == "own":
        return network.load_own(trial.model.name, classes, trial.seed)
    found = network.load_backbone(trial.model.name)
    pyramid = Pyramid(found.encoder, stages.LEVELS[params.head])
    size = params.training_size
    with torch.inference_mode():
        widths = [level.shape[1] for level in pyramid.eval()(torch.zeros(1, 3, size, size))]
    shapes = head_shapes(params.head, widths, params.head_width, len(classes))
    return network.Segmenter(pyramid, init_head(shapes, trial.seed), found.normalize)


def build_trained(trial: Trial, classes: Sequence[str], weights: Mapping[str, Tensor]) -> Network:
    """Return the network with trained weights, into which adapters are merged."""
    model = _build_plain(trial, classes)
    if trial.params.trainable == "lora":
        adapters.merge(model, trial, weights)
    else:
        model.load_state_dict(weights)
    return model


def start(trial: Trial, classes: Sequence[str], device: str) -> State:
    """Return the state before training."""
    model = build(trial, classes)
    trained = _trained(model)
    arrays: dict[str, Any] = {}
    for name, value in _state(model).items():
        arrays[f"weight.{name}"] = value.to(device)
        if name in trained:
            arrays[f"mean.{name}"] = torch.zeros_like(value, device=device)
            arrays[f"square.{name}"] = torch.zeros_like(value, device=device)
    return State(arrays=arrays, values={"epoch": 0, "classes": list(classes)})


def _trained(model: Network) -> dict[str, nn.Parameter]:
    return {name: each for name, each in model.named_parameters() if each.requires_grad}


def _state(model: Network) -> dict[str, Tensor]:
    """Return the weights that training can change, and buffers."""
    fixed = {name for name, each in model.named_parameters() if not each.requires_grad}
    return {name: value for name, value in model.state_dict().items() if name not in fixed}


def restore(trial: Trial, state: State, device: str) -> Network:
    """Return the network with the weights of a state."""
    model = build(trial, state.values["classes"])
    found = model.load_state_dict(select(state.arrays, "weight."), strict=False)
    assert not found.unexpected_keys, found.unexpected_keys
    assert not set(found.missing_keys) & set(_state(model)), found.missing_keys
    return model.to(device)


def _restore_to_train(trial: Trial, state: State, device: str) -> Network:
    params, model = trial.params, restore(trial, state, device).train()
    if params.trainable == "lora":
        model.encoder.eval()  # as it was frozen: without dropout, and with fixed statistics
    if params.gradient_checkpointing and not checkpoint_layers(model, preserve_rng=True):
        raise ModelError(
            f"the layers of {trial.model.name} have no gradient checkpointing in transformers, or "
            "have batch normalization; use a smaller batch_size instead"
        )
    return model


def train_epoch(trial: Trial, state: State, device: str) -> tuple[State, float]:
    """Train one epoch; return the next state and the mean loss.

    Raises:
        ModelError: if the model has no layers for gradient checkpointing.
        TrialError: if a loss is not finite.
    """
    params, epoch = trial.params, state.values["epoch"] + 1
    model = _restore_to_train(trial, state, device)
    split = load_split(trial.data.name, "train")
    number = min(len(split), params.num_images or len(split))
    orders = draw_batches(number, trial, epoch)
    named = _trained(model)
    groups = _group_by_scale(model, named, params.layer_decay)
    means, squares = (
        {name: state.arrays[f"{part}.{name}"].to(device).clone() for name in named}
        for part in ("mean", "square")
    )
    losses = []
    with torch.random.fork_rng():
        torch.manual_seed(int(np.random.SeedSequence([trial.seed, epoch]).generate_state(1)[0]))
        for index, rows in enumerate(orders):
            check_interrupt()
            report_progress(index, len(orders))
            pixels, labels = _batch(split, rows, trial, epoch, device)
            loss = _loss(model, pixels, labels, params, device)
            used = _gradients(loss, named)
            losses.append(loss.detach())
            step = (epoch - 1) * len(orders) + index
            lr = learning_rate(params, step, params.epochs * len(orders))
            for scale, names in groups.items():
                own = [name for name in names if name in used]
                parts = ([part[name] for name in own] for part in (named, used, means, squares))
                if own:
                    decay = params.weight_decay
                    adamw_step(*parts, lr=scale * lr, weight_decay=decay, step=step + 1)
    error = check_losses(torch.stack(losses).cpu(), epoch)
    if error is not None:
        raise error
    arrays = {f"weight.{name}": v.detach().clone() for name, v in _state(model).items()}
    arrays |= {f"mean.{name}": value for name, value in means.items()}
    arrays |= {f"square.{name}": value for name, value in squares.items()}
    return State(arrays=arrays, values=state.values | {"epoch": epoch}), float(
        torch.stack(losses).mean()
    )


def _group_by_scale(
    model: Network, named: Mapping[str, nn.Parameter], layer_decay: float | None
) -> dict[float, list[str]]:
    """Group the names of trained parameters by the factor of their learning rate."""
    scales = dict.fromkeys(named, 1.0)
    if layer_decay is not None:
        names = {id(each): name for name, each in named.items()}
        inside = {name: names[id(each)] for name, each in model.encoder.named_parameters()}
        found = layer_scales.layer_scales(list(inside), layer_decay)
        scales |= {inside[name]: scale for name, scale in found.items()}
    return layer_scales.group_by_scale(scales)


def _gradients(loss: Tensor, named: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """Return the gradients by name, without parameters that the loss does not depend on."""
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return {
        name: gradient for name, gradient in zip(named, found, strict=True) if gradient is not None
    }


def _batch(
    split: MaskedSplit, rows: Any, trial: Trial, epoch: int, device: str
) -> tuple[Tensor, Tensor]:
    """Return pixels [B, 3, H, W], 0 to 1, and labels [B, H / 2, W / 2]."""
    params = trial.params
    draw = (trial.seed, epoch) if params.augment else None
    crop = params.crop_size if params.augment else None
    pairs = [stages.training_input(split, int(row), params.image_size, crop, draw) for row in rows]
    pixels = torch.from_numpy(crops.to_pixels([image for image, _ in pairs]))
    labels = torch.from_numpy(np.stack([labels for _, labels in pairs]))
    return to_device(pixels, device), to_device(labels, device)


def _loss(model: nn.Module, pixels: Tensor, labels: Tensor, params: Params, device: str) -> Tensor:
    with autocast(device, params.precision):
        logits = model(pixels)
    if isinstance(model, Mask2Former):
        return model.loss(logits, labels)
    return segmentation_loss(params, resize_scores(logits.float(), labels.shape[-2:]), labels)


def scorer(
    trial: Trial, state: State, truth: Truth, split: MaskedSplit, device: str
) -> Callable[[Sequence[int]], Tensor]:
    """Return the function that scores windows of the evaluated split."""
    params: Params = trial.params
    model = restore(trial, state, device).eval()
    places = [
        (image, box, mirrored)
        for image, placed in enumerate(truth.windows)
        for _, box, mirrored in placed
    ]
    size = params.window_size or params.image_size

    def score(rows: Sequence[int]) -> Tensor:
        found = []
        for image, box, mirrored in (places[row] for row in rows):
            found.append(crops.crop_window(split.load(image), box, size, mirrored=mirrored))
        pixels = to_device(torch.from_numpy(crops.to_pixels(found)), device)
        with torch.inference_mode(), autocast(device, params.precision):
            output = model(pixels)
        if isinstance(model, Mask2Former):
            with torch.inference_mode():
                return class_scores(output, places[rows[0]][1][2:])
        return output.float()  # type: ignore[no-any-return]

    return score
