"""The protocol of a task."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from tasks.contract.declarations import Column, Metric, Paired
from tasks.contract.stage import Inputs, Stage
from tasks.contract.step import Advanced, Member, State
from tasks.contract.trial import Source, Trial
from tasks.progress import progress_part


@runtime_checkable
class Task(Protocol):
    """One task: a folder under ``tasks/`` whose ``task.py`` offers ``TASK``, an instance of this.

    Importing ``task.py`` must be cheap: no torch, no transformers. The functions that compute
    import them when they are called.

    A task may also have

        front            two metrics, larger is better: rows that no other beats in both are marked
        scoring_params   parameters that say how a trial is scored, such as the split: trials that
                         differ in one are not compared
        shown_samples    columns of ``samples`` that ``show`` prints; by the first, where that is a
                         number, the best and the worst
        shares_steps     whether members of one pack share the work of a step, so that trials of one
                         key are kept in one pack instead of being spread over the slots
        step_unit        what ``Step.at`` counts, by default "step": a number in order, such as
                         "epoch" (shown as ``epoch 2/3``), or an amount in the plural, such as
                         "images" (shown as ``352/1449 images``); also a curve's axis
        num_steps(trial) the ``Step.at`` of the trial's last step if nothing stops it early: the
                         total in the view, and what its estimate of the time left counts on
        tolerance        how far metrics of one trial may be apart, absolute or relative, when it
                         runs again in other company or on the other engine; 0 by default
        schedule_length  the parameter that a trial's schedule, such as the decay of its learning
                         rate, runs over: a search that stops trials early must not vary it
        example_params   a tuple of dicts, parameters of short trials: what ``check-task`` runs
        weights(trial, state)  the arrays of a finished trial's state that are its weights, by name;
                         all arrays for a task without this method. ``{}`` keeps nothing of a
                         trial, ``weights = None`` of any
        final(trial, split)  a trial that scores a finished trial on another split, in its one or
                         its last step, with the stages that scoring needs; RequestError if that
                         cannot be. What ``--final`` needs
        restore(trial, arrays, values)  the state that such a trial starts from, of the kept
                         ``weights`` (numpy arrays) and the finished state's values; for a task
                         that has weights
        export(trial, arrays, values, folder)  writes a model that runs without this project into
                         an empty folder (a Path) and returns an ``Export``. ``arrays`` are what
                         ``weights`` chose, by name, and ``values`` those of the state; both are
                         empty if ``weights`` is None. Without this method the arrays are written
                         as they are
        signatures()     how metrics were counted, by name, for ``sweep.json``
        model_forms      one sentence on what --model takes; ``data_forms`` the same for --data
        warnings(model, data)  one line each on sources that run together but mean little
    """

    name: ClassVar[str]
    version: ClassVar[str]  # part of every trial's id: raise it when a result would change
    Params: ClassVar[type[Any]]  # frozen, keyword-only dataclass; its docstrings are the help
    metric: ClassVar[Metric]
    columns: ClassVar[tuple[Column, ...]]  # of the summary table, in order
    paired: ClassVar[tuple[Paired, ...]]
    default_model: ClassVar[str]
    default_data: ClassVar[str]

    def resolve(self, model: str, data: str) -> tuple[Source, Source]:
        """Check both names and take their fingerprints; RequestError says what is wrong."""
        ...

    def check(self, trial: Trial) -> Trial:
        """The trial as it will run, defaults that depend on model or data resolved.

        Raises:
            RequestError: if this model and data cannot run these params.
        """
        ...

    def stages(self, trial: Trial) -> Sequence[Stage]:
        """The shared work this trial needs; what those need in turn may be left out."""
        ...

    def pack_key(self, trial: Trial) -> Hashable:
        """Trials with one key may run together."""
        ...

    def num_bytes(self, trial: Trial) -> int:
        """Device memory of one member, an estimate in bytes."""
        ...

    def start(self, trial: Trial, inputs: Inputs, device: str) -> State:
        """The state before the first step."""
        ...

    def advance(
        self, pack: Sequence[Member], inputs: Inputs, device: str
    ) -> Sequence[Advanced | Exception]:
        """One step of every member, in order; an exception fails that member alone.

        A step of more than a few seconds should call ``report_progress(done, total)`` once per
        batch, so that a user sees how far it is.
        """
        ...


def advance_each(
    pack: Sequence[Member], step: Callable[[Trial, State], Advanced]
) -> list[Advanced | Exception]:
    """Map a one-trial ``step(trial, state)`` over a pack: all that a simple task needs."""
    results: list[Advanced | Exception] = []
    for number, member in enumerate(pack):
        try:
            with progress_part(number, len(pack)):
                results.append(step(member.trial, member.state))
        except Exception as error:  # one member's failure is a row, not the pack's end
            results.append(error)
    return results
