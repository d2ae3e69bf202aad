"""The base class of every task."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tasks.contract.declarations import Column, Metric, PerSampleMetric
from tasks.contract.errors import RequestError
from tasks.contract.export import Export, export_arrays
from tasks.contract.stage import Inputs, Stage
from tasks.contract.step import Advanced, Member, State, Step
from tasks.contract.trial import Source, Trial
from tasks.progress import progress_part


class Task:
    """What a trial does. A subclass defines what is specific to it; the rest has a default.

    Every task needs ``name``, ``Params``, ``metric``, ``columns`` and ``step`` (or ``advance``).
    ``task.py`` offers an instance of the subclass as ``TASK``. Importing ``task.py`` must be cheap:
    no torch, no transformers. The functions that compute import them when they are called.
    """

    # --- what every task declares -----------------------------------------------------------------

    name: ClassVar[str]
    """The name of the task's folder or entry point."""
    Params: ClassVar[type[Any]]
    """A frozen dataclass with keyword-only fields: what a trial can vary."""
    metric: ClassVar[Metric]
    """The number that a sweep is judged by."""
    columns: ClassVar[tuple[Column, ...]]
    """The columns of the summary table, in order; the main metric is one of them."""

    # --- what a task may declare ------------------------------------------------------------------

    version: ClassVar[str] = "1"
    """Part of every trial's id: change it when a change to the code changes a result."""
    default_model: ClassVar[str] = "none"
    """The model without ``--model``."""
    default_data: ClassVar[str] = "none"
    """The data set without ``--data``."""
    model_forms: ClassVar[str] = ""
    """One sentence on what ``--model`` accepts."""
    data_forms: ClassVar[str] = ""
    """One sentence on what ``--data`` accepts."""
    per_sample: ClassVar[tuple[PerSampleMetric, ...]] = ()
    """The metrics that ``Step.samples`` give unit by unit, for intervals and paired tests."""
    pareto_front: ClassVar[tuple[str, str] | None] = None
    """Two metrics, larger is better: rows that no other row beats in both are marked."""
    scoring_params: ClassVar[tuple[str, ...]] = ()
    """Parameters that say how a trial is scored, such as the split: trials that differ in one of
    them are not compared."""
    shown_samples: ClassVar[tuple[str, ...]] = ()
    """Columns of ``Step.samples`` that ``show`` prints; all if there are none. If the first is a
    number, ``show`` prints the samples with the best and the worst."""
    step_unit: ClassVar[str] = "step"
    """What ``Step.at`` counts, also the axis of curves: a number in order, such as "epoch" (shown
    as ``epoch 2/3``), or an amount in the plural, such as "images" (``352/1449 images``)."""
    example_params: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    """Parameters of short trials, for ``check-task``; the defaults if there are none."""
    tolerance: ClassVar[float] = 0.0
    """How far a metric may differ, absolute or relative, if a trial runs again in another pack or
    on the other engine. 0 to below 1."""
    schedule_length: ClassVar[str | None] = None
    """The parameter that a trial's schedule, such as the decay of its learning rate, runs over: a
    search that stops trials early must not vary it."""
    shares_steps: ClassVar[bool] = False
    """Whether the members of a pack share the work of a step. Trials with one key then stay in one
    pack instead of being spread over the workers."""
    has_weights: ClassVar[bool] = True
    """Whether a finished trial has weights that can be kept."""

    # --- before a trial ---------------------------------------------------------------------------

    def resolve(self, model: str, data: str) -> tuple[Source, Source]:
        """Check both names and return them with fingerprints of their content.

        The default is for a task that loads nothing: it accepts the default names alone.

        Raises:
            RequestError: if there is no such model or data.
        """
        known = {"model": self.default_model, "data": self.default_data}
        for option, given in (("model", model), ("data", data)):
            if given != known[option]:
                raise RequestError(
                    f"the only {option} of {self.name} is {known[option]!r}, but got {given!r}"
                )
        return Source(name=model, fingerprint="1"), Source(name=data, fingerprint="1")

    def warnings(self, model: Source, data: Source) -> Sequence[str]:
        """One line for each reason why results on these sources mean little."""
        return ()

    def normalize(self, trial: Trial) -> Trial:
        """Return the trial as it will run.

        Set parameters that depend on the model or the data, and set those that the trial does not
        read to one value, so that equal work has one id. A normalized trial stays as it is.

        Raises:
            RequestError: if this model and data cannot run these parameters.
        """
        return trial

    def stages(self, trial: Trial) -> Sequence[Stage]:
        """The shared work that the trial needs; what those stages need may be left out."""
        return ()

    def pack_key(self, trial: Trial) -> Hashable:
        """Trials with equal keys may run together in one process. By default each runs alone.

        Return one key for trials that are short, or that share work.
        """
        return trial.id

    def estimate_memory(self, trial: Trial) -> int:
        """The device memory of one member of a pack in bytes, as an estimate; 0 if negligible."""
        return 0

    def num_steps(self, trial: Trial) -> int | None:
        """``Step.at`` of the trial's last step if nothing stops it early; None if unknown.

        The live view shows it as the total and estimates the time left from it.
        """
        return None

    # --- a trial ----------------------------------------------------------------------------------

    def start(self, trial: Trial, inputs: Inputs, device: str) -> State:
        """The state before the first step. ``inputs[stage]`` is the value of a stage."""
        return State()

    def step(self, trial: Trial, state: State, inputs: Inputs, device: str) -> tuple[State, Step]:
        """One step of one trial: the new state, and what the step yields.

        Leave ``state`` as it is. A step of more than a few seconds should call
        ``report_progress(done, total)`` once per batch, so that the live view shows its progress.

        Raises:
            TrialError: if the trial cannot continue, for example because its loss is not finite.
        """
        raise NotImplementedError

    def advance(
        self, pack: Sequence[Member], inputs: Inputs, device: str
    ) -> Sequence[Advanced | Exception]:
        """One step of every member, in order; an exception fails that member alone.

        The default runs ``step`` of one member after the other. Override it instead of ``step`` to
        compute members together.
        """
        results: list[Advanced | Exception] = []
        for number, member in enumerate(pack):
            try:
                with progress_part(number, len(pack)):
                    results.append(self.step(member.trial, member.state, inputs, device))
            except Exception as error:  # one member's failure is a row, not the pack's end
                results.append(error)
        return results

    # --- after a trial ----------------------------------------------------------------------------

    def weights(self, trial: Trial, state: State) -> Mapping[str, Any]:
        """The arrays of a finished trial's state that are its weights, by name.

        The default returns all of them, an optimizer's moments too. ``{}`` keeps nothing of this
        trial.
        """
        return state.arrays

    def export(
        self, trial: Trial, arrays: Mapping[str, Any], values: Mapping[str, Any], folder: Path
    ) -> Export:
        """Write a model that runs without this project into an empty folder.

        The default writes the arrays as ``weights.safetensors``. The data may be missing.

        Args:
            trial: the finished trial.
            arrays: what ``weights`` returned, as numpy arrays; empty for a task without weights.
            values: those of the last state; empty for a task without weights.
            folder: where to write.
        """
        return export_arrays(arrays, folder)

    def final(self, trial: Trial, split: str) -> Trial:
        """The trial that scores a finished trial on another split, for ``--final``.

        It scores in its only or its last step, and its stages are those that scoring needs.

        Raises:
            RequestError: if the data has no such split.
        """
        raise RequestError(
            f"--final {split}: {self.name} cannot score another split, because it has no method "
            "`final` (docs/reference/task-contract.md); remove --final"
        )

    def restore(self, trial: Trial, arrays: Mapping[str, Any], values: Mapping[str, Any]) -> State:
        """The state that a trial of ``final`` starts from; for tasks with weights.

        Args:
            trial: what ``final`` returned.
            arrays: the finished trial's kept weights, as numpy arrays.
            values: those of the finished trial's last state.
        """
        raise NotImplementedError

    def signatures(self) -> Mapping[str, str]:
        """How metrics were counted, by name, for ``sweep.json``."""
        return {}
