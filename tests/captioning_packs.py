"""Trials of the captioning task, run as one pack in this process."""

from __future__ import annotations

from typing import Any

from tasks.captioning import stages
from tasks.captioning.params import Params
from tasks.captioning.task import TASK
from tasks.contract import Inputs, Member, Step, Trial


def make_trial(**params: Any) -> Trial:
    """A trial with these parameters; ``model_name`` is the model instead of the shipped one."""
    model, data = TASK.resolve(params.pop("model_name", "blip-scenes"), "scenes:pretrain")
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
