"""One epoch of a pack of diffusion trials: train once what they share, then sample and score each.

N images
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from tasks.contract import Advanced, Inputs, Member, State, Step, Trial, TrialError
from tasks.datasets.conditions import Conditions
from tasks.diffusion import data, judge, kid, stages, training
from tasks.diffusion.params import Params
from tasks.progress import progress_part

Array = np.ndarray[Any, Any]
SCORES = ("accuracy", "probe", "attributes")  # metrics of each condition and each group
SAMPLES = (
    "sample",
    "condition",
    "group",
    "kind",
    "right",
    "all_right",
    "share_right",
    "distance",
    "picture",
)
TRAINING_COST = 3  # the time of training on an image, in forward passes
REAL = {"probe_accuracy": "accuracy", "real_accuracy": "real_accuracy"}


def start(trial: Trial, inputs: Inputs, device: str) -> State:
    """Return the state before the first epoch.

    Raises:
        TrialError: if the judge rejects real images, so that accuracies would mean nothing.
    """
    judge.check(inputs[stages.probe_stage(trial)], trial.params.min_real_accuracy)
    return training.start(trial, device)


def advance(pack: Sequence[Member], inputs: Inputs, device: str) -> Sequence[Advanced | Exception]:
    """Run one epoch of every member. Members with equal training and state train once."""
    trained: dict[Any, list[tuple[State, tuple[State, float] | Exception]]] = {}
    results: list[Advanced | Exception] = []
    costs = [_sampling_cost(member) for member in pack]
    training_cost = max(TRAINING_COST * member.trial.params.draws for member in pack)
    done, total = 0, training_cost + sum(costs)
    for member, cost in zip(pack, costs, strict=True):
        params: Params = member.trial.params
        known = trained.setdefault((member.trial.seed, params.training()), [])
        try:
            found = next((r for state, r in known if _is_same(state, member.state)), None)
            if found is None:
                with progress_part(done, total, training_cost):
                    found = _train(member, device)
                known.append((member.state, found))
                done += training_cost
            if isinstance(found, Exception):
                raise found
            with progress_part(done, total, cost):
                results.append(_step(member.trial, *found, inputs, device))
            done += cost
        except Exception as error:  # the other members continue
            results.append(error)
    return results


def _sampling_cost(member: Member) -> int:
    """Return the cost of sampling in forward passes of one image."""
    params: Params = member.trial.params
    if not _evaluates_at(params, member.state.values["epoch"] + 1):
        return 0
    passes = (1 if params.guidance == 1 else 2) * (2 if params.sampler == "heun" else 1)
    number = len(data.conditions_of(member.trial).codes) * params.num_samples
    return number * params.sampling_steps * passes


def _evaluates_at(params: Params, epoch: int) -> bool:
    every = params.evaluate_every
    return epoch >= params.epochs or (every > 0 and epoch % every == 0)


def _is_same(one: State, other: State) -> bool:
    return one is other or (
        one.values == other.values
        and one.arrays.keys() == other.arrays.keys()
        and all(torch.equal(value, other.arrays[name]) for name, value in one.arrays.items())
    )


def _train(member: Member, device: str) -> tuple[State, float] | Exception:
    try:
        return training.train_epoch(member.trial, member.state, device)
    except TrialError as error:  # it concerns every member that shares the training
        return error


def _step(trial: Trial, state: State, loss: float, inputs: Inputs, device: str) -> Advanced:
    params: Params = trial.params
    epoch = state.values["epoch"]
    done = epoch >= params.epochs
    metrics: dict[str, float] = {"loss": loss}
    samples = None
    if _evaluates_at(params, epoch):
        images = training.sample(trial, state, device)
        conditions = data.conditions_of(trial)
        scores, samples = evaluate(images, inputs[stages.probe_stage(trial)], conditions)
        metrics |= scores
    return state, Step(at=epoch, metrics=metrics, samples=samples, done=done)


def evaluate(
    images: Array, fitted: Any, conditions: Conditions
) -> tuple[dict[str, float], dict[str, list[Any]]]:
    """Return the metrics and samples of images [C, N, 28, 28, 3], in the order of the conditions.

    ``accuracy`` is the fraction of images with all attributes right that are also close to real
    images, ``probe`` the fraction with all of them right (Okawa et al. 2023), and ``attributes``
    the lab's mean over the attributes. The samples also include the mean image of each condition,
    with its mean scores.
    """
    rows: dict[str, list[Any]] = {name: [] for name in SAMPLES}
    metrics = {name: float(fitted[key]) for name, key in REAL.items()}
    distances: dict[str, tuple[float, float] | None] = {}
    for code, drawn in zip(conditions.codes, images, strict=True):
        right, attributes, distance = judge.score(fitted, code, drawn)
        condition = conditions.names[code]
        group = "seen" if code in conditions.seen else "unseen"
        scores = np.stack([right, attributes.all(1), attributes.mean(1), distance], axis=1)
        mean = np.round(drawn.astype(np.float64).mean(0)).astype(np.uint8)
        judged = [("mean", "mean", "mean", scores.mean(0), mean)]
        judged += [
            (f"{number:03}", group, "image", row, picture)
            for number, (row, picture) in enumerate(zip(scores, drawn, strict=True))
        ]
        for number, of, kind, row, picture in judged:
            name = f"{condition}-{number}"
            values = (name, condition, of, kind, *row.tolist(), to_png(picture))
            for column, value in zip(rows.values(), values, strict=True):
                column.append(value)
        for name, value in zip(SCORES, scores.mean(0).tolist(), strict=False):
            metrics[f"{name}_{condition}"] = value
        distances[code] = kid.of_condition(fitted, code, drawn)
    for group, codes in conditions.groups().items():
        for name in SCORES:
            shares = [metrics[f"{name}_{conditions.names[code]}"] for code in codes]
            metrics[f"{group}_{name}"] = float(np.mean(shares))
        metrics |= kid.summarize(f"{group}_", [distances[code] for code in codes])
    return metrics | kid.summarize("", list(distances.values())), rows


def to_png(picture: Array) -> bytes:
    """Encode an image uint8 [H, W, 3] as PNG."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, format="PNG")
    return out.getvalue()
