"""The diffusion task. Methods that need torch import it themselves."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.contract import (
    Advanced,
    Export,
    Inputs,
    Member,
    Metric,
    ModelError,
    RequestError,
    Source,
    Stage,
    State,
    Task,
    Trial,
)
from tasks.diffusion import stages
from tasks.diffusion.columns import BUILT_IN, NamedCondition, make_columns, make_per_sample
from tasks.diffusion.data import FORMS, is_folder, open_folder, read_conditions
from tasks.diffusion.data import resolve as resolve_data
from tasks.diffusion.params import SIDE, Params
from tasks.models.factories import fingerprint_factory, is_factory
from tasks.precision import resolve_precision

MODEL = "unet"


class DiffusionTask(Task):
    """Train a conditional diffusion model on some conditions, and sample and score all."""

    name = "diffusion"
    version = "2"  # 2: accuracy also requires that an image is close to real images
    Params = Params
    metric = Metric(name="unseen_accuracy", label="unseen accuracy", direction="maximize")
    columns = make_columns(BUILT_IN)
    example_params = tuple(
        {
            **{"features": 8, "epochs": 2, "draws": 64, "num_steps": 8},
            **{"sampling_steps": 4, "num_samples": 3},
            **more,
        }
        for more in ({}, {"sampling_steps": 3}, {"sampler": "ancestral", "num_samples": 2})
    )
    per_sample = make_per_sample(BUILT_IN)
    shown_samples = ("condition", "picture", "right", "all_right", "share_right", "distance")
    step_unit = "epoch"
    shares_steps = True  # trials that differ only in sampling share one training
    default_model = MODEL
    default_data = "concepts"
    model_forms = (
        "unet, trained from scratch (--set network=dit trains a diffusion transformer instead), or "
        "package.module:factory, which returns a network"
    )
    data_forms = FORMS

    def resolve(self, model: str, data: str) -> tuple[Source, Source]:
        """Check the model and the data."""
        if is_factory(model):
            return fingerprint_factory(model), resolve_data(data)
        if model != MODEL:
            raise ModelError(
                f"--model of diffusion takes {MODEL} or package.module:factory, but got {model!r}; "
                "choose a built-in network with --set network=unet or --set network=dit"
            )
        return Source(name=MODEL, fingerprint="1"), resolve_data(data)

    def for_data(self, data: Source) -> Task:
        """Return the task with columns for the conditions of ``folder:DIR``."""
        if not is_folder(data.name):
            return self
        folder = open_folder(data)
        conditions = [
            NamedCondition(
                name=folder.names[code],
                label=folder.describe(code),
                where={"condition": folder.names[code], "kind": "image"},
            )
            for code in folder.codes
        ]
        task = copy.copy(self)
        # These are class attributes of ``Task``, but here they differ by data set.
        vars(task).update(
            columns=make_columns(conditions),
            per_sample=make_per_sample(conditions),
            scoring_params=("unseen",),  # other conditions are not equally hard
        )
        return task

    def normalize(self, trial: Trial) -> Trial:
        """Set unused parameters to their defaults; fill in those that depend on others."""
        params: Params = trial.params
        precision = resolve_precision(params.precision)
        conditions = read_conditions(trial.data, params.unseen)
        unseen = "+".join(conditions.names[code] for code in conditions.unseen)
        resolved = params.resolved(factory=trial.model.name != MODEL)
        resolved = dataclasses.replace(resolved, precision=precision)
        if is_folder(trial.data.name):
            resolved = dataclasses.replace(resolved, unseen=unseen)
        return dataclasses.replace(trial, params=resolved)

    def stages(self, trial: Trial) -> Sequence[Stage]:
        """Return the stage that fits the judge of generated images."""
        return [stages.probe_stage(trial)]

    def pack_key(self, trial: Trial) -> Hashable:
        """Return one key for trials that differ only in sampling, which share their training."""
        return (trial.model, trial.data, trial.seed, trial.params.training())

    def estimate_memory(self, trial: Trial) -> int:
        """Estimate the memory of weights, gradients, moments and the activations of a batch.

        The memory of a factory's network is not known.
        """
        params: Params = trial.params
        batch = params.batch_size
        if is_factory(trial.model.name):
            return 0
        if params.network == "dit":
            patch, depth, width = (getattr(params, n) for n in ("patch_size", "depth", "width"))
            patches = (SIDE // patch) ** 2
            return int(4 * depth * (4 * 18 * width**2 + 34 * batch * patches * width))
        width = params.features
        return 4 * (4 * 430 * width**2 + 40 * batch * width * SIDE**2)

    def num_steps(self, trial: Trial) -> int:
        """Return the number of epochs."""
        return int(trial.params.epochs)

    def start(self, trial: Trial, inputs: Inputs, device: str) -> State:
        """Initialize the weights by the seed.

        Raises:
            TrialError: if the judge rejects too many real images.
        """
        from tasks.diffusion import diffusion

        return diffusion.start(trial, inputs, device)

    def advance(
        self, pack: Sequence[Member], inputs: Inputs, device: str
    ) -> Sequence[Advanced | Exception]:
        """Train one epoch, once for members that share it, and sample each member's images."""
        from tasks.diffusion import diffusion

        return diffusion.advance(pack, inputs, device)

    def weights(self, trial: Trial, state: State) -> Mapping[str, Any]:
        """Return the weights that are used for sampling: the moving average if there is one."""
        kept = ("ema." if trial.params.ema else "weight.", "buffer.")
        return {name: value for name, value in state.arrays.items() if name.startswith(kept)}

    def final(self, trial: Trial, split: str) -> Trial:
        """Raise an error: samples come from the model, so there is no other split."""
        raise RequestError(
            f"--final {split}: diffusion has no {split} split, because it scores images that it "
            "samples itself; remove --final"
        )

    def export(
        self, trial: Trial, arrays: Mapping[str, Any], values: Mapping[str, Any], folder: Path
    ) -> Export:
        """Export the network's weights, their config, and ``pipeline.py``, which samples images."""
        from tasks.diffusion import export

        return export.export(trial, arrays, values, folder)


TASK = DiffusionTask()
