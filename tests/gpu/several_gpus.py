"""Checks that need two GPUs."""

from __future__ import annotations

from pathlib import Path

import torch
from gpu.running import exact_float32, inputs_of
from gpu.subjects import SUBJECTS

from orchestrator.execution.trial_processes import TrialProcesses
from tasks.contract import Inputs, Member, Step, Task, Trial

NAMES = ("retrieval_full", "retrieval_lora")


def two_gpus_compute_what_one_does(device: str, folder: Path) -> str:
    """Training on two GPUs gives the losses and scores of one."""
    figures = []
    for name in NAMES:
        (folder / name).mkdir()
        subject = SUBJECTS[name](folder / name)
        task, trial = subject.task, subject.trials[0]
        inputs = inputs_of(task, [trial], device)
        with exact_float32():
            expected = _last_step(task, task, trial, inputs, device)
            with TrialProcesses(task, 2, device=device, threads=1, step_timeout=120) as processes:
                found = _last_step(processes, task, trial, inputs, device)
        figures.append(f"{name} {subject.compare(found, expected)}")
    return ", ".join(figures)


def _last_step(
    run: Task | TrialProcesses, task: Task, trial: Trial, inputs: Inputs, device: str
) -> Step:
    state = task.start(trial, inputs, device)
    while True:
        (result,) = run.advance([Member(trial=trial, state=state)], inputs, device)
        if isinstance(result, Exception):
            raise result
        state, step = result
        if step.done:
            return step


CHECKS = (two_gpus_compute_what_one_does,) if torch.cuda.device_count() > 1 else ()
