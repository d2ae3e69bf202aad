"""The retrieval task. Methods that need torch import it themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tasks.contract import (
    Advanced,
    Column,
    DataError,
    Export,
    Inputs,
    Member,
    Metric,
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
from tasks.models.lora_params import resolve_lora
from tasks.precision import resolve_precision
from tasks.retrieval import stages
from tasks.retrieval.pairs import num_pairs
from tasks.retrieval.params import Params
from tasks.retrieval.resolve import check_matching, check_texts, resolve_heads, resolve_loss

_RECALLS = tuple(
    Column(key=f"metric.{d}_r{k}", label=f"{name} R@{k}", format="percent")
    for d, name in (("i2t", "image-to-text"), ("t2i", "text-to-image"))
    for k in (1, 5, 10)
)
MAX_ADAPTERS = 8  # trials with adapters in a pack: a kill loses an epoch of each
#: The parameters of trials without training.
EVALUATED = (
    *("start", "head", "embed_dim", "num_captions", "ties", "split", "precision"),
    *("rerank_k", "max_tokens", "lower_case"),
)
_BEFORE = tuple(  # only of trials that re-rank
    Column(key=f"metric.itc_{d}_r1", label=f"{name} R@1 before re-ranking", format="percent")
    for d, name in (("i2t", "image-to-text"), ("t2i", "text-to-image"))
)


class RetrievalTask(Task):
    """Finetune the heads of an image-text model, alone, with adapters, or with the full model."""

    name = "retrieval"
    version = "2"  # 2: expected ranks over ties, BLIP's augmentation, clamp after the step
    Params = Params
    tolerance = 1e-4  # stacked heads add numbers in another order
    schedule_length = "epochs"  # the learning rate decays over all epochs
    metric = Metric(name="i2t_r1", label="image-to-text R@1", direction="maximize")
    columns = (
        Column(key="param.start", label="start"),
        Column(key="param.lr", label="lr", format="scientific"),
        Column(key="param.weight_decay", label="weight decay", format="scientific"),
        Column(key="param.epochs", label="epochs", format="integer"),
        Column(key="param.temperature", label="temperature", format="number"),
        Column(key="param.rerank_k", label="re-ranked", format="integer"),
        *_RECALLS,
        Column(key="metric.rsum", label="rsum", format="score"),
        *_BEFORE,
    )
    per_sample = tuple(
        PerSampleMetric(metric=f"{d}_r{k}", unit="query", value=f"hit{k}", where={"direction": d})
        for d in ("i2t", "t2i")
        for k in (1, 5, 10)
    )
    metric_params = MappingProxyType({"itc_i2t_r1": "rerank_k", "itc_t2i_r1": "rerank_k"})
    scoring_params = ("num_captions", "ties", "split")
    step_unit = "epoch"
    shown_samples = ("direction", "query", "rank", "hit1", "hit5", "hit10")
    example_params = (
        {"epochs": 2, "batch_size": 8, "lr": 1e-3},
        {"epochs": 2, "batch_size": 8, "lr": 1e-3, "start": "random", "temperature": 0.7},
    )
    default_model = folders.SHIPPED
    default_data = "scenes"
    model_forms = (
        "a Hugging Face id or a folder (safetensors) of a BLIP retrieval, CLIP, MetaCLIP 2, SigLIP "
        "or SigLIP 2 model; or "
        "IMAGE+TEXT, two encoders with new heads (--set start=random), each an id, a folder or "
        "package.module:factory"
    )
    data_forms = registry.FORMS

    def resolve(self, model: str, data: str) -> tuple[Source, Source]:
        """Check a model and a captioned data set, and return their fingerprints."""
        return families.resolve(model), registry.resolve(data)

    def warnings(self, model: Source, data: Source) -> list[str]:
        """Return a warning if the shipped model is used on photos."""
        return registry.domain_warnings(model, data)

    def normalize(self, trial: Trial) -> Trial:
        """Fill in the heads and the precision, and reset training parameters without epochs.

        Raises:
            RequestError: if the model has no such heads, or the data no such splits.
        """
        params = resolve_heads(trial)
        params = dataclasses.replace(
            params,
            precision=resolve_precision(params.precision),
            lower_case=params.lower_case or None,
        )
        params = resolve_lora(params).without_unused()
        if not params.epochs:
            # Without training, parameters of training must not change the trial's id.
            params = Params(epochs=0, **{name: getattr(params, name) for name in EVALUATED})
        registry.load_split(trial.data.name, params.split)
        check_matching(trial.model.name, params)
        check_texts(trial.model, params)
        if params.epochs:
            train = registry.load_split(trial.data.name, "train")
            number = num_pairs(train.captions, params.pairs, params.num_captions)
            if number < params.batch_size:
                raise DataError(
                    f"`batch_size <= training pairs` must hold, but got {params.batch_size} > "
                    f"{number}"
                )
            params = resolve_loss(trial.model.name, params)
        return dataclasses.replace(trial, params=params)

    def stages(self, trial: Trial) -> Sequence[Stage]:
        """Return the stages of encoded images and captions and of the checkpoint's heads."""
        return stages.needed(trial)

    def pack_key(self, trial: Trial) -> Hashable:
        """Return one key for trials that use the same features, or put adapters on one network."""
        params = trial.params
        others: Hashable = {"head": None, "full": trial.id}.get(params.trainable)
        if params.trainable == "lora":
            others = params.shared_by_adapters()
        return (trial.model, trial.data, params.precision, params.split, others)

    def max_pack_size(self, trial: Trial) -> int | None:
        """Return a few for adapters, whose epochs are long."""
        return MAX_ADAPTERS if trial.params.trainable == "lora" else None

    def estimate_memory(self, trial: Trial) -> int:
        """Estimate the memory of the trained weights and, of encoders, of their activations.

        A trial that trains its heads alone needs the encoders only to re-rank. The model, which a
        pack shares, is counted for each member.
        """
        if trial.params.trainable != "head" and trial.params.epochs:
            from tasks.retrieval.memory import estimate_training

            return estimate_training(trial)
        heads = 4 * 4 * 2 * 1024 * 1024
        return heads + (
            folders.num_bytes(folders.find_folder(trial.model.name)) if trial.params.rerank_k else 0
        )

    def check_gpus(self, trial: Trial, num_gpus: int) -> None:
        """Refuse to train heads on several GPUs, or batches that cannot be split evenly.

        Raises:
            RequestError: if the trial cannot use this number of GPUs.
        """
        params = trial.params
        if params.epochs and params.trainable == "head":
            raise RequestError(
                "heads train on one GPU; add --set trainable=full or --set trainable=lora"
            )
        if params.epochs and params.itm_weight:
            raise RequestError(
                "itm_weight draws negatives from the whole batch, so it trains on one GPU; remove "
                "--gpus-per-trial or itm_weight"
            )
        if params.epochs and params.batch_size % num_gpus:
            raise RequestError(
                f"a batch is split evenly, but batch_size={params.batch_size} is no multiple of "
                f"{num_gpus}; change --set batch_size"
            )

    def num_steps(self, trial: Trial) -> int:
        """Return the number of epochs."""
        return int(trial.params.epochs)

    def start(self, trial: Trial, inputs: Inputs, device: str) -> State:
        """Return the state before training."""
        from tasks.retrieval import training

        return training.start(trial, inputs, device)

    def advance(
        self, pack: Sequence[Member], inputs: Inputs, device: str
    ) -> Sequence[Advanced | Exception]:
        """Train and evaluate one epoch of every member."""
        from tasks.retrieval import training

        return training.advance(pack, inputs, device)

    def weights(self, trial: Trial, state: State) -> Mapping[str, Any]:
        """Return the trained weights, without the optimizer's moments."""
        kept = ("weight.", "constant.")
        return {name: value for name, value in state.arrays.items() if name.startswith(kept)}

    def final(self, trial: Trial, split: str) -> Trial:
        """Return the trial that evaluates the trained heads on another split."""
        registry.check_final(trial.data.name, split, chosen_on=trial.params.split)
        params = dataclasses.replace(trial.params, split=split, epochs=0)
        return dataclasses.replace(trial, params=params)

    def restore(self, trial: Trial, arrays: Mapping[str, Any], values: Mapping[str, Any]) -> State:
        """Return a state with the kept weights and no epochs to train."""
        import torch

        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return State(arrays=tensors, values={"epoch": 0})

    def load_image(self, trial: Trial, image_id: str) -> Any:
        """Return an image of the split that the trial is scored on."""
        return registry.load_image(trial.data.name, trial.params.split, image_id)

    def export(
        self, trial: Trial, arrays: Mapping[str, Any], values: Mapping[str, Any], folder: Path
    ) -> Export:
        """Export a Hugging Face folder, or encoders with separate heads and a loader."""
        from tasks.retrieval import export

        return export.export(trial, arrays, folder)


TASK = RetrievalTask()
