"""Trials of the captioning task, run as one pack in this process."""

from __future__ import annotations

from typing import Any

from tasks.captioning import stages
from tasks.captioning.params import Params
from tasks.captioning.task import TASK
from tasks.contract import Inputs, Member, Step, Trial


def make_trial(*, model_name: str = "blip-scenes", **params: Any) -> Trial:
    model, data = TASK.resolve(model_name, "scenes:pretrain")
    params = {"num_images": 100} | params
    trial = Trial(
        task="captioning", version="1", params=Params(**params), seed=0, model=model, data=data
    )
    return TASK.normalize(trial)


def make_inputs(trial: Trial) -> Inputs:
    return {stage: stage.function(**stage.args, device="cpu") for stage in stages.needed(trial)}


def run_steps(pack: list[Trial]) -> list[list[Step]]:
    inputs = make_inputs(pack[0])
    members = [Member(trial=t, state=TASK.start(t, inputs, "cpu")) for t in pack]
    steps: dict[str, list[Step]] = {t.id: [] for t in pack}
    while members:
        going = []
        for member, result in zip(members, TASK.advance(members, inputs, "cpu"), strict=True):
            assert not isinstance(result, Exception), result
            steps[member.trial.id].append(result[1])
            if not result[1].done:
                going.append(Member(trial=member.trial, state=result[0]))
        members = going
    return [steps[t.id] for t in pack]
