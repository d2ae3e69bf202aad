"""Image-text retrieval finetuning as a task. Torch is imported where it is needed, not here."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence

from tasks.contract import (
    Advanced,
    Column,
    DataError,
    Inputs,
    Member,
    Metric,
    Paired,
    Source,
    Stage,
    State,
    Trial,
    advance_each,
)
from tasks.datasets import registry
from tasks.models import folders
from tasks.retrieval import stages
from tasks.retrieval.params import Params

_RECALLS = tuple(
    Column(key=f"metric.{d}_r{k}", label=f"{name} R@{k}", format="percent")
    for d, name in (("i2t", "image-to-text"), ("t2i", "text-to-image"))
    for k in (1, 5, 10)
)


class RetrievalTask:
    """Finetune two projection heads over a frozen image-text backbone."""

    name = "retrieval"
    version = "1"
    Params = Params
    metric = Metric(name="i2t_r1", label="image-to-text R@1", direction="maximize")
    columns = (
        Column(key="param.start", label="start"),
        Column(key="param.lr", label="lr", format="scientific"),
        Column(key="param.weight_decay", label="weight decay", format="scientific"),
        Column(key="param.epochs", label="epochs", format="integer"),
        Column(key="param.temperature", label="temperature", format="number"),
        *_RECALLS,
        Column(key="metric.rsum", label="rsum", format="number"),
    )
    paired = tuple(
        Paired(metric=f"{d}_r{k}", unit="query", value="rank", at_most=k, where=("direction", d))
        for d in ("i2t", "t2i")
        for k in (1, 5, 10)
    )
    default_model = folders.SHIPPED
    default_data = "scenes"

    def resolve(self, model: str, data: str) -> tuple[Source, Source]:
        """Fingerprints of a model folder and a captioned data set."""
        from tasks.models.dual import find_family

        source = folders.resolve(model)
        find_family(model)
        return source, registry.resolve(data)

    def check(self, trial: Trial) -> Trial:
        """A pretrained start needs heads, training a train split; lr is moot without epochs."""
        from tasks.models.dual import check_heads

        params = trial.params
        if params.start == "pretrained":
            check_heads(trial.model.name)
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
        moot = dataclasses.replace(
            Params(), start=params.start, epochs=0, split=params.split, precision=params.precision
        )
        return dataclasses.replace(trial, params=moot)

    def stages(self, trial: Trial) -> Sequence[Stage]:
        """Encoded images and captions, and the checkpoint's heads."""
        return stages.needed(trial)

    def pack_key(self, trial: Trial) -> Hashable:
        """Trials over the same features run together."""
        return (trial.model, trial.data, trial.params.precision, trial.params.split)

    def num_bytes(self, trial: Trial) -> int:
        """Two heads with their moments and gradients; the features are shared."""
        return 4 * 4 * 2 * 1024 * 1024

    def start(self, trial: Trial, inputs: Inputs, device: str) -> State:
        """The heads before training."""
        from tasks.retrieval import training

        return training.start(trial, inputs, device)

    def advance(
        self, pack: Sequence[Member], inputs: Inputs, device: str
    ) -> Sequence[Advanced | Exception]:
        """One epoch of every member, and its evaluation."""
        from tasks.retrieval import training

        return advance_each(
            pack, lambda trial, state: training.advance(trial, state, inputs, device)
        )


TASK = RetrievalTask()
