"""Image-text retrieval finetuning as a task. Torch is imported where it is needed, not here."""

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
    RequestError,
    Source,
    Stage,
    State,
    Task,
    Trial,
)
from tasks.datasets import registry
from tasks.models import families, folders
from tasks.precision import resolve_precision
from tasks.retrieval import stages
from tasks.retrieval.params import EMBED_DIM, Params

_RECALLS = tuple(
    Column(key=f"metric.{d}_r{k}", label=f"{name} R@{k}", format="percent")
    for d, name in (("i2t", "image-to-text"), ("t2i", "text-to-image"))
    for k in (1, 5, 10)
)


class RetrievalTask(Task):
    """Finetune an image-text model's two projection heads, or all of it."""

    name = "retrieval"
    version = "2"  # 2: expected ranks over ties, BLIP's augmentation, clamp after the step
    Params = Params
    tolerance = 1e-4  # heads that train in a stack sum in another order
    schedule_length = "epochs"  # the learning rate decays over them
    metric = Metric(name="i2t_r1", label="image-to-text R@1", direction="maximize")
    columns = (
        Column(key="param.start", label="start"),
        Column(key="param.lr", label="lr", format="scientific"),
        Column(key="param.weight_decay", label="weight decay", format="scientific"),
        Column(key="param.epochs", label="epochs", format="integer"),
        Column(key="param.temperature", label="temperature", format="number"),
        *_RECALLS,
        Column(key="metric.rsum", label="rsum", format="score"),
    )
    per_sample = tuple(
        PerSampleMetric(metric=f"{d}_r{k}", unit="query", value=f"hit{k}", where={"direction": d})
        for d in ("i2t", "t2i")
        for k in (1, 5, 10)
    )
    scoring_params = ("num_captions", "ties", "split")
    step_unit = "epoch"
    example_params = (
        {"epochs": 2, "batch_size": 8, "lr": 1e-3},
        {"epochs": 2, "batch_size": 8, "lr": 1e-3, "start": "random", "temperature": 0.7},
    )
    default_model = folders.SHIPPED
    default_data = "scenes"
    model_forms = (
        "a Hugging Face id or a folder (safetensors) of a BLIP retrieval, CLIP or SigLIP model; or "
        "IMAGE+TEXT, two encoders to be joined by new heads (--set start=random), each an id, a "
        "folder or package.module:factory"
    )
    data_forms = registry.FORMS

    def resolve(self, model: str, data: str) -> tuple[Source, Source]:
        """Fingerprints of a model folder and a captioned data set."""
        return families.resolve(model), registry.resolve(data)

    def warnings(self, model: Source, data: Source) -> list[str]:
        """Whether the shipped model meets photos."""
        return registry.domain_warnings(model, data)

    def normalize(self, trial: Trial) -> Trial:
        """A pretrained start needs heads, training a train split; lr is moot without epochs."""
        params = _resolve_heads(trial)
        params = dataclasses.replace(params, precision=resolve_precision(params.precision))
        trial = dataclasses.replace(trial, params=params)
        registry.load_split(trial.data.name, params.split)
        if params.epochs:
            train = registry.load_split(trial.data.name, "train")
            if len(train) < params.batch_size:
                raise DataError(
                    f"`batch_size <= training images` must hold, "
                    f"but got {params.batch_size} > {len(train)}"
                )
            return trial
        # Nothing is trained, so what only training reads must not make it another trial.
        kept = ("start", "head", "embed_dim", "num_captions", "ties", "split", "precision")
        moot = Params(epochs=0, **{name: getattr(params, name) for name in kept})
        return dataclasses.replace(trial, params=moot)

    def stages(self, trial: Trial) -> Sequence[Stage]:
        """Encoded images and captions, and the checkpoint's heads."""
        return stages.needed(trial)

    def pack_key(self, trial: Trial) -> Hashable:
        """Trials over the same features run together."""
        params = trial.params
        alone = trial.id if params.trainable == "full" else None
        return (trial.model, trial.data, params.precision, params.split, alone)

    def estimate_memory(self, trial: Trial) -> int:
        """What is trained, with its moments and gradients; frozen features are shared."""
        if trial.params.trainable == "full":
            return 4 * families.num_bytes(trial.model.name)
        return 4 * 4 * 2 * 1024 * 1024

    def num_steps(self, trial: Trial) -> int:
        """The epochs; 0 where the start alone is evaluated."""
        return int(trial.params.epochs)

    def start(self, trial: Trial, inputs: Inputs, device: str) -> State:
        """The heads before training."""
        from tasks.retrieval import training

        return training.start(trial, inputs, device)

    def advance(
        self, pack: Sequence[Member], inputs: Inputs, device: str
    ) -> Sequence[Advanced | Exception]:
        """One epoch of every member, and its evaluation."""
        from tasks.retrieval import training

        return training.advance(pack, inputs, device)

    def weights(self, trial: Trial, state: State) -> Mapping[str, Any]:
        """The heads, or the whole model where that is trained; not the optimizer's moments."""
        kept = ("weight.", "constant.")
        return {name: value for name, value in state.arrays.items() if name.startswith(kept)}

    def final(self, trial: Trial, split: str) -> Trial:
        """The trained heads on another split: what trains them is moot."""
        registry.check_final(trial.data.name, split, chosen_on=trial.params.split)
        params = dataclasses.replace(trial.params, split=split, epochs=0)
        return dataclasses.replace(trial, params=params)

    def restore(self, trial: Trial, arrays: Mapping[str, Any], values: Mapping[str, Any]) -> State:
        """The kept weights, at the end of no epochs: all that is left is to score them."""
        import torch

        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return State(arrays=tensors, values={"epoch": 0})

    def export(
        self, trial: Trial, arrays: Mapping[str, Any], values: Mapping[str, Any], folder: Path
    ) -> Export:
        """A Hugging Face folder with the trained heads, or encoders with heads and a loader."""
        from tasks.retrieval import export

        return export.export(trial, arrays, folder)


def _resolve_heads(trial: Trial) -> Params:
    """The heads' form and width as they will be, for this model."""
    params: Params = trial.params
    name = trial.model.name
    if families.is_pair(name):
        if params.start == "pretrained":
            raise ModelError(f"{name} has no heads of its own: add --set start=random")
        form = "linear" if params.head == "own" else params.head
        return dataclasses.replace(params, head=form, embed_dim=params.embed_dim or EMBED_DIM)
    families.check_weights(name, heads=params.start == "pretrained")
    if params.head == "own":
        if params.embed_dim is not None:
            raise RequestError("embed_dim is the width of new heads: add --set head=linear or mlp")
        return params
    if params.start == "pretrained":
        raise RequestError(f"head={params.head} is a new head: add --set start=random")
    if families.find_family(name).image_features == "tokens":
        raise ModelError(f"{name}: the heads of SigLIP pool as well, so only head=own fits them")
    return dataclasses.replace(params, embed_dim=params.embed_dim or EMBED_DIM)


TASK = RetrievalTask()
