"""The task under test, with its example trials, their stage values and their results."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from orchestrator.execution.stages import compute
from orchestrator.execution.step_checks import check_advanced, check_results, check_state
from orchestrator.planning import task_calls
from orchestrator.planning.plan import TrialFactory, distinct_stages
from search_spaces.space import Scalar
from tasks.contract import Inputs, Member, Source, State, Step, Task, Trial

DEVICE = "cpu"
MAX_STEPS = 10_000
NUM_TRIALS = 3
#: Metrics may differ by this much in a pack, because sums are computed in another order.
TOLERANCE = 1e-4


class ViolationError(Exception):
    """The task violates the contract; the message says how, with the values."""


class Subject:
    """A task under test, with a model, data and settings that keep its trials short."""

    def __init__(
        self,
        task: Task,
        name: str,
        *,
        model: str | None = None,
        data: str | None = None,
        settings: Mapping[str, Scalar] | None = None,
        tolerance: float = TOLERANCE,
    ) -> None:
        self.task, self.name, self.tolerance = task, name, tolerance
        self.model = task.default_model if model is None else model
        self.data = task.default_data if data is None else data
        self.settings = dict(settings or {})

    @cached_property
    def sources(self) -> tuple[Source, Source]:
        """The model and the data."""
        return task_calls.resolve(self.task, self.model, self.data)

    @cached_property
    def factory(self) -> TrialFactory:
        """Makes trials; the settings take precedence over their parameters."""
        model, data = self.sources
        return TrialFactory(task=self.task, model=model, data=data, fixed=self.settings)

    @property
    def examples(self) -> list[Mapping[str, Scalar]]:
        """The task's ``example_params``, or its defaults."""
        return list(self.task.example_params) or [{}]

    @cached_property
    def trials(self) -> list[Trial]:
        """A trial of each example, plus further seeds of the first, up to ``NUM_TRIALS``."""
        trials = [self.factory.trial(example, 0) for example in self.examples]
        seeds = range(1, NUM_TRIALS - len(trials) + 1)
        trials += [self.factory.trial(self.examples[0], seed) for seed in seeds]
        trials = list({trial.id: trial for trial in trials}.values())
        task_calls.try_methods(self.task, trials[0])
        return trials

    @cached_property
    def inputs(self) -> Inputs:
        """The values of all stages that the trials need."""
        values: dict[Any, Any] = {}
        for stage in distinct_stages(self.task, self.trials):
            values[stage] = compute(stage, [values[need] for need in stage.needs], DEVICE)
        return values

    @cached_property
    def _ended(self) -> list[tuple[State, list[Step]]]:
        """The last state and all steps of each trial, run alone."""
        found = []
        for trial in self.trials:
            last, steps = State(), []
            for state, step in self.run(trial):
                last = state
                steps.append(step)
            found.append((last, steps))
        return found

    @property
    def alone(self) -> list[list[Step]]:
        """The steps of each trial, run alone."""
        return [steps for _, steps in self._ended]

    @property
    def last_states(self) -> list[State]:
        """The state of each trial after its last step."""
        return [state for state, _ in self._ended]

    def start(self, trial: Trial) -> State:
        """Return the trial's first state."""
        return check_state(self.task.start(trial, self.inputs, DEVICE))

    def advance(self, members: list[Member]) -> list[tuple[State, Step] | Exception]:
        """Run one step of the members; each result is (state, step) or an exception."""
        results = self.task.advance(members, self.inputs, DEVICE)
        return [
            result if isinstance(result, Exception) else check_advanced(result, None)
            for result in check_results(results, members)
        ]

    def step(self, trial: Trial, state: State) -> tuple[State, Step]:
        """Run one step of a trial alone; raises the exception if the task returns one."""
        (result,) = self.advance([Member(trial=trial, state=state)])
        if isinstance(result, Exception):
            raise result
        return result

    def run(self, trial: Trial) -> Iterator[tuple[State, Step]]:
        """Run a trial alone, and yield the state and step after each step."""
        state, last = self.start(trial), None
        end = self.task.num_steps(trial)
        for _ in range(MAX_STEPS):
            state, step = self.step(trial, state)
            check_advanced((state, step), last, end)
            bad = [name for name, value in step.metrics.items() if not math.isfinite(value)]
            if bad:
                raise ViolationError(f"{bad[0]} is {step.metrics[bad[0]]} at step {step.at}")
            last = step.at
            yield state, step
            if step.done:
                return
        raise ViolationError(f"a trial did not finish: none of {MAX_STEPS:,} steps had done=True")
