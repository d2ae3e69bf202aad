"""Checks of a task's declaration, none of which runs a trial."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from typing import Any

from orchestrator.contract_suite.subject import Subject, ViolationError
from orchestrator.planning import discovery, task_calls
from orchestrator.planning.params_checks import field_docs
from orchestrator.planning.plan import distinct_stages, plan_rows
from orchestrator.planning.spaces import KINDS, resolve_space
from orchestrator.planning.task_checks import problems
from tasks.contract import RequestError

HEAVY = ("torch", "transformers", "ray", "optuna", "orchestrator", "results")


def attributes(subject: Subject) -> None:
    """The declaration is valid, and the class has a docstring, which ``tasks`` prints."""
    found = problems(subject.task, subject.name)
    if found:
        raise ViolationError("; also: ".join(found))
    if not (type(subject.task).__doc__ or "").strip():
        raise ViolationError(f"the class {type(subject.task).__name__} has no docstring")


def parameters(subject: Subject) -> None:
    """``Params`` is frozen, and each field has a docstring, which ``tasks`` prints."""
    params = subject.task.Params()
    helps = field_docs(subject.task.Params)
    for field in dataclasses.fields(params):
        if not helps.get(field.name, "").strip():
            raise ViolationError(
                f"the parameter {field.name} has no docstring on the line below it"
            )
        try:
            setattr(params, field.name, getattr(params, field.name))
        except dataclasses.FrozenInstanceError:
            continue
        raise ViolationError(f"the parameter {field.name} of a Params instance can be changed")


def defaults(subject: Subject) -> None:
    """The default trial and the example trials resolve."""
    subject.factory.trial({}, 0)
    assert subject.trials


def imports(subject: Subject) -> None:
    """A fresh process imports the task's module without the heavy packages."""
    code = (
        "import sys\n"
        f"import {type(subject.task).__module__}\n"
        f"print(' '.join(name for name in {HEAVY!r} if name in sys.modules))"
    )
    loaded = _fresh_process(code, "0").split()
    if loaded:
        raise ViolationError(
            f"importing {type(subject.task).__module__} imports {', '.join(loaded)}"
        )


_IDS = """
import json, sys
from orchestrator.planning import discovery
from orchestrator.contract_suite import Subject
name, model, data, settings = json.loads(sys.argv[1])
task = discovery.load_task(name)
subject = Subject(task, name, model=model, data=data, settings=settings)
ids = [[trial.id, [s.key for s in task.stages(trial)]] for trial in subject.trials]
print(json.dumps(ids))
"""


def identity(subject: Subject) -> None:
    """Ids of trials and stages are the same in every process."""
    task = subject.task
    here = [[trial.id, [s.key for s in task.stages(trial)]] for trial in subject.trials]
    argument = json.dumps([subject.name, subject.model, subject.data, subject.settings])
    for seed in ("1", "2"):
        there = json.loads(_fresh_process(_IDS, seed, argument).splitlines()[-1])
        for (mine, keys), (other, others) in zip(here, there, strict=True):
            if mine != other:
                raise ViolationError(
                    f"the id of a trial is {mine} here, but {other} in a process with "
                    f"PYTHONHASHSEED={seed}: a fingerprint or a parameter differs"
                )
            if keys != others:
                raise ViolationError(
                    f"the stages of the trial {mine} differ in a process with PYTHONHASHSEED={seed}"
                )


def _fresh_process(code: str, hash_seed: str, *arguments: str) -> str:
    """Run code in a new process with the same import path, and return its output."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ViolationError(f"in a fresh process: {lines[-1]}")
    return done.stdout


def normal_form(subject: Subject) -> None:
    """Equivalent values give the same id, and ``normalize`` is idempotent."""
    task, factory = subject.task, subject.factory
    for trial in subject.trials:
        if task_calls.normalize(task, trial) != trial:
            raise ViolationError("normalize changes a trial that is already normalized")
    explicit: dict[str, Any] = {
        field.name: int(field.default)
        if isinstance(field.default, float) and field.default.is_integer()
        else field.default
        for field in dataclasses.fields(task.Params)
    }
    first, second = factory.trial({}, 0), factory.trial(explicit, 0)
    if first.id != second.id:
        raise ViolationError(
            f"the trial without parameters has the id {first.id}, but {second.id} if its "
            "parameters are set to their defaults"
        )
    if factory.trial({}, 1).id == first.id:
        raise ViolationError("seeds 0 and 1 give the same trial")


def packing(subject: Subject) -> None:
    """``pack_key`` and ``estimate_memory`` can be used to form packs."""
    for trial in subject.trials:
        if subject.task.pack_key(trial) != subject.task.pack_key(trial):
            raise ViolationError("pack_key returned different keys for the same trial")
        task_calls.try_methods(subject.task, trial)


def spaces(subject: Subject) -> str | None:
    """Every row of the task's space file gives a trial, and its search works."""
    try:
        defined = discovery.defined_spaces(subject.name)
    except RequestError as error:
        if "has no search space;" not in str(error):
            raise
        return "the task has no space file"
    factory = dataclasses.replace(subject.factory, fixed={})
    for kind, name in KINDS.items():
        if name not in defined:
            continue
        space = resolve_space(subject.name, kind)
        if space.search is None:
            plan_rows(space, factory, [0])
            continue
        from orchestrator.search.function import check_search_function

        sample = check_search_function(space.search, factory, "none")
        if sample.refused:
            return f"{len(sample.refused)} random configurations of the search are invalid"
    return None if defined else "the space file defines no space"


def stage_keys(subject: Subject) -> str | None:
    """Every stage has a content id and a function that workers can import."""
    stages = distinct_stages(subject.task, subject.trials)
    for stage in stages:
        task_calls.check_stage(subject.task, stage)
        function = getattr(sys.modules[stage.function.__module__], stage.function.__name__, None)
        if function is not stage.function:
            raise ViolationError(
                f"the function of the stage {stage.label} is not the function "
                f"{stage.function.__name__} of its module"
            )
    return None if stages else "the task has no stages"
