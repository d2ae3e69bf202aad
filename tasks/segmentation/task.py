"""The segmentation task. Methods that need torch import it themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.contract import (
    Advanced,
    Column,
    DataError,
    Export,
    Inputs,
    Member,
    Metric,
    ModelError,
    PerSampleMetric,
    Source,
    Stage,
    State,
    Task,
    Trial,
)
from tasks.models import folders
from tasks.models.lora_params import LORA, resolve_lora
from tasks.models.training_params import TRAINING, resolve_training
from tasks.precision import resolve_precision
from tasks.segmentation import checkpoints, registry, stages
from tasks.segmentation.formulas import MEAN_RATIO, RATIO
from tasks.segmentation.params import MAX_SCORES, Params

_SCORES = {"view": "scores"}  # other rows of the samples hold pictures


class SegmentationTask(Task):
    """Train a segmentation head on a frozen backbone, with adapters, or with the full model."""

    name = "segmentation"
    Params = Params
    tolerance = 1e-3  # stacked heads add numbers in another order, which can change single pixels
    schedule_length = "epochs"  # the learning rate falls over all epochs
    metric = Metric(name="miou", label="mean IoU", direction="maximize")
    columns = (
        Column(key="param.head", label="head"),
        Column(key="param.loss", label="loss"),
        Column(key="param.lr", label="lr", format="scientific"),
        Column(key="param.weight_decay", label="weight decay", format="scientific"),
        Column(key="param.epochs", label="epochs", format="integer"),
        Column(key="param.augment", label="augment"),
        Column(key="param.crop_size", label="crop", format="integer"),
        Column(key="param.evaluation", label="evaluation"),
        Column(key="param.flip", label="flip"),
        Column(key="metric.miou", label="mean IoU", format="percent", chart="mean IoU"),
        Column(key="metric.boundary_f", label="boundary F", format="percent"),
        Column(key="metric.mean_accuracy", label="mean accuracy", format="percent"),
        Column(key="metric.pixel_accuracy", label="pixel accuracy", format="percent"),
    )
    per_sample = (
        PerSampleMetric(
            metric="miou", unit="image", value="overlap", aggregate=MEAN_RATIO, where=_SCORES
        ),
        PerSampleMetric(metric="boundary_f", unit="image", value="boundary_f", where=_SCORES),
        PerSampleMetric(
            metric="mean_accuracy",
            unit="image",
            value="recall",
            aggregate=MEAN_RATIO,
            where=_SCORES,
        ),
        PerSampleMetric(
            metric="pixel_accuracy", unit="image", value="pixels", aggregate=RATIO, where=_SCORES
        ),
    )
    scoring_params = ("split",)
    shown_samples = ("view", "picture", "image", "image_iou")
    step_unit = "epoch"
    example_params = (
        {"epochs": 2, "batch_size": 8, "image_size": 64},
        {"epochs": 2, "batch_size": 8, "image_size": 64, "head": "upernet", "loss": "dice"},
    )
    default_model = folders.SHIPPED
    default_data = registry.SCENES
    model_forms = checkpoints.FORMS
    data_forms = registry.FORMS

    def resolve(self, model: str, data: str) -> tuple[Source, Source]:
        """Check a model and a data set with masks, and return their fingerprints."""
        return checkpoints.resolve(model), registry.resolve(data)

    def warnings(self, model: Source, data: Source) -> list[str]:
        """Return a warning if the shipped model, trained on drawn scenes only, gets photos."""
        if model.name != folders.SHIPPED or data.name == registry.SCENES:
            return []
        return [
            f"the default model, {folders.SHIPPED}, was pretrained only on drawn scenes, so its "
            "scores on photos mean little; choose a model for photos with --model"
        ]

    def normalize(self, trial: Trial) -> Trial:
        """Fill in the precision, and reset the parameters that the trial does not use.

        Raises:
            RequestError: if the data lacks a split, or the model has no segmentation head.
        """
        params: Params = trial.params
        if params.head == "own" and not checkpoints.is_segmenter(trial.model.name):
            raise ModelError(
                f"{trial.model.name} has no segmentation head of its own; use --set head=linear or "
                "head=upernet"
            )
        check_mask2former(trial)
        registry.load_split(trial.data.name, params.split)
        if params.epochs:
            number = len(registry.load_split(trial.data.name, "train"))
            if params.num_images is not None and params.num_images >= number:
                params = dataclasses.replace(params, num_images=None)
            number = params.num_images or number
            if number < params.batch_size:
                raise DataError(
                    "`batch_size <= training images` must hold, "
                    f"but got {params.batch_size} > {number}"
                )
        params = dataclasses.replace(params, precision=resolve_precision(params.precision))
        return dataclasses.replace(trial, params=_reset_unused(params))

    def stages(self, trial: Trial) -> Sequence[Stage]:
        """Return the stages of masks and of the frozen backbone's features."""
        return stages.needed(trial)

    def pack_key(self, trial: Trial) -> Hashable:
        """Return one key for the trials of one model and data set that train heads only."""
        alone = None if trial.params.trainable == "head" else trial.id
        return trial.model, trial.data, trial.params.precision, alone

    def estimate_memory(self, trial: Trial) -> int:
        """Estimate the memory of the weights, gradients, moments, activations and scores."""
        params: Params = trial.params
        pixels = params.batch_size * params.training_size**2
        if params.trainable != "head":
            # The state before an epoch (weights and two moments); the network, its gradients and
            # new moments; and a copy of the new weights. With adapters, mainly the network.
            copies = 3 + 4 + 1 if params.trainable == "full" else 1
            weights = copies * folders.num_bytes(folders.find_folder(trial.model.name))
            return weights + max(400 * pixels, 12 * MAX_SCORES)
        return max(40 * pixels, 12 * MAX_SCORES)  # scores, resized scores and probabilities

    def num_steps(self, trial: Trial) -> int:
        """Return the number of epochs."""
        return int(trial.params.epochs)

    def start(self, trial: Trial, inputs: Inputs, device: str) -> State:
        """Return the state before training."""
        from tasks.segmentation import training

        return training.start(trial, inputs, device)

    def advance(
        self, pack: Sequence[Member], inputs: Inputs, device: str
    ) -> Sequence[Advanced | Exception]:
        """Train and evaluate one epoch of every member."""
        from tasks.segmentation import training

        return training.advance(pack, inputs, device)

    def weights(self, trial: Trial, state: State) -> Mapping[str, Any]:
        """Return the trained weights, without the optimizer's moments."""
        return {name: v for name, v in state.arrays.items() if name.startswith("weight.")}

    def final(self, trial: Trial, split: str) -> Trial:
        """Return the trial that evaluates the trained weights on another split."""
        registry.check_final(trial.data.name, split, chosen_on=trial.params.split)
        params = dataclasses.replace(trial.params, split=split, epochs=0)
        return dataclasses.replace(trial, params=params)

    def restore(self, trial: Trial, arrays: Mapping[str, Any], values: Mapping[str, Any]) -> State:
        """Return a state with the kept weights and no epochs to train."""
        import torch

        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return State(arrays=tensors, values={"epoch": 0, "classes": values["classes"]})

    def export(
        self, trial: Trial, arrays: Mapping[str, Any], values: Mapping[str, Any], folder: Path
    ) -> Export:
        """Export a Hugging Face folder, or an encoder with a separate head and a loader."""
        from tasks.segmentation import export

        return export.export(trial, arrays, values["classes"], folder)


def check_mask2former(trial: Trial) -> None:
    """Check that a Mask2Former checkpoint with its own head is trained in full, by its own loss.

    Raises:
        ModelError: if it is not.
    """
    params: Params = trial.params
    if params.head != "own" or not checkpoints.is_mask2former(trial.model.name):
        return
    if params.trainable != "full":
        raise ModelError(
            f"{trial.model.name}, a Mask2Former, has no adapters with head=own; use --set "
            "trainable=full, or head=linear or upernet on its backbone"
        )
    if params.loss != "cross_entropy" and params.epochs:
        raise ModelError(
            f"{trial.model.name}, a Mask2Former, is trained with its own loss, but got "
            f"loss={params.loss}; leave loss out, or use head=linear or upernet on its backbone"
        )


def _reset_unused(params: Params) -> Params:
    """Return the parameters with one value for each that has no effect."""
    defaults = Params()
    unused = set()
    if params.head != "upernet":
        unused.add("head_width")
    if not params.epochs:
        unused |= {"loss", "lr", "weight_decay", "batch_size", "num_images", "augment"}
        unused |= {*LORA, *TRAINING}
    if params.loss != "focal" or not params.epochs:
        unused.add("focal_gamma")
    if not (params.augment and params.epochs) and params.evaluation == "whole":
        unused.add("crop_size")
    reset = dataclasses.replace(params, **{name: getattr(defaults, name) for name in unused})
    return resolve_training(resolve_lora(reset))


TASK = SegmentationTask()
