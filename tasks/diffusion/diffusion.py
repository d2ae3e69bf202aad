"""One epoch of a pack of diffusion trials: train what they share once, sample and probe each.

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
from tasks.datasets import concepts
from tasks.diffusion import probe, stages, training
from tasks.diffusion.params import Params

Array = np.ndarray[Any, Any]


def start(trial: Trial, inputs: Inputs, device: str) -> State:
    """The state before the first epoch.

    Raises:
        TrialError: if the probe is too weak for its accuracies to mean anything.
    """
    accuracy = float(inputs[stages.probe_stage(trial)]["accuracy"])
    if accuracy < probe.LEAST:
        raise TrialError(
            f"the probe tells {100 * accuracy:.1f} % of real held-out images right; under "
            f"{100 * probe.LEAST:.0f} % its accuracies of generated ones mean nothing"
        )
    return training.start(trial, device)


def advance(pack: Sequence[Member], inputs: Inputs, device: str) -> Sequence[Advanced | Exception]:
    """One epoch of every member; those with one training and one state share it."""
    trained: dict[Any, list[tuple[State, tuple[State, float] | Exception]]] = {}
    results: list[Advanced | Exception] = []
    for member in pack:
        params: Params = member.trial.params
        known = trained.setdefault((member.trial.seed, params.training()), [])
        try:
            found = next((r for state, r in known if _is_same(state, member.state)), None)
            if found is None:
                found = _train(member, device)
                known.append((member.state, found))
            if isinstance(found, Exception):
                raise found
            results.append(_step(member.trial, *found, inputs, device))
        except Exception as error:  # one member's failure is a row, not the pack's end
            results.append(error)
    return results


def _is_same(one: State, other: State) -> bool:
    return one is other or (
        one.values == other.values
        and one.arrays.keys() == other.arrays.keys()
        and all(torch.equal(value, other.arrays[name]) for name, value in one.arrays.items())
    )


def _train(member: Member, device: str) -> tuple[State, float] | Exception:
    try:
        return training.train_epoch(member.trial, member.state, device)
    except TrialError as error:  # true of every member that shares it
        return error


def _step(trial: Trial, state: State, loss: float, inputs: Inputs, device: str) -> Advanced:
    params: Params = trial.params
    epoch = state.values["epoch"]
    done = epoch >= params.epochs
    metrics: dict[str, float] = {"loss": loss}
    samples = None
    if done or (params.evaluate_every and epoch % params.evaluate_every == 0):
        judge = inputs[stages.probe_stage(trial)]
        images = training.sample(trial, state, device)
        scores, samples = evaluate(images, judge)
        metrics |= scores
    return state, Step(at=epoch, metrics=metrics, samples=samples, done=done)


def evaluate(images: Array, judge: Any) -> tuple[dict[str, float], dict[str, list[Any]]]:
    """Accuracies of images [8, N, 28, 28, 3] in the order of the conditions, and their samples.

    ``accuracy`` is the share with all three attributes right (Okawa et al. 2023), ``attributes``
    the lab's mean over the attributes. Each condition's mean image stands among the samples too.
    """
    rows: dict[str, list[Any]] = {
        name: [] for name in ("sample", "condition", "group", "all_right", "share_right", "picture")
    }
    for condition, drawn in zip(concepts.CONDITIONS, images, strict=True):
        right = probe.tell(judge, drawn) == np.array([int(digit) for digit in condition])
        group = "seen" if condition in concepts.SEEN else "unseen"
        mean = np.round(drawn.astype(np.float64).mean(0)).astype(np.uint8)
        told = [(f"{condition}-mean", "mean", right.all(1).mean(), right.mean(), mean)]
        told += [
            (f"{condition}-{number:03}", group, float(row.all()), float(row.mean()), picture)
            for number, (row, picture) in enumerate(zip(right, drawn, strict=True))
        ]
        for name, kind, all_right, share_right, picture in told:
            values = (name, condition, kind, float(all_right), float(share_right), to_png(picture))
            for column, value in zip(rows.values(), values, strict=True):
                column.append(value)
    metrics = {"probe_accuracy": float(judge["accuracy"])}
    groups = np.array(rows["group"])
    for group in ("seen", "unseen"):
        chosen = groups == group
        metrics[f"{group}_accuracy"] = float(np.array(rows["all_right"])[chosen].mean())
        metrics[f"{group}_attributes"] = float(np.array(rows["share_right"])[chosen].mean())
    for condition in concepts.CONDITIONS:
        place = rows["sample"].index(f"{condition}-mean")
        metrics[f"accuracy_{condition}"] = rows["all_right"][place]
    return metrics, rows


def to_png(picture: Array) -> bytes:
    """An image uint8 [H, W, 3] as PNG."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, format="PNG")
    return out.getvalue()
