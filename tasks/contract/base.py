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
    """The base class of every task: what a trial varies, computes and reports.

    A subclass must define ``name``, ``Params``, ``metric``, ``columns`` and ``step`` (or
    ``advance``); everything else has a default. ``task.py`` defines an instance of the subclass as
    ``TASK``. Importing ``task.py`` must be fast, so import torch and transformers inside the
    functions that use them.
    """

    # --- required declarations --------------------------------------------------------------------

    name: ClassVar[str]
    """The name of the task's folder or entry point."""
    Params: ClassVar[type[Any]]
    """A frozen dataclass with keyword-only fields: the parameters of a trial."""
    metric: ClassVar[Metric]
    """The main metric, which ranks the trials of a sweep."""
    columns: ClassVar[tuple[Column, ...]]
    """The columns of the summary table, in order; one of them must be the main metric."""

    # --- optional declarations --------------------------------------------------------------------

    version: ClassVar[str] = "1"
    """Part of every trial's id. Change it when a change of the code changes results."""
    default_model: ClassVar[str] = "none"
    """The default of ``--model``."""
    default_data: ClassVar[str] = "none"
    """The default of ``--data``."""
    model_forms: ClassVar[str] = ""
    """One sentence that describes the values of ``--model``."""
    data_forms: ClassVar[str] = ""
    """One sentence that describes the values of ``--data``."""
    per_sample: ClassVar[tuple[PerSampleMetric, ...]] = ()
    """How to compute metrics from ``Step.samples``, for intervals and paired tests."""
    other_metrics: ClassVar[tuple[Metric, ...]] = ()
    """Other metrics that ``--metric NAME`` can make the main metric. Each needs a column."""
    metric_params: ClassVar[Mapping[str, str]] = {}
    """The parameter without which a trial does not report a metric: ``{"clip_score": "clip"}``. A
    sweep by that metric is refused if the parameter of a trial is None."""
    pareto_front: ClassVar[tuple[str, str] | None] = None
    """Two metrics for which larger is better. Tables mark the rows on their Pareto front."""
    scoring_params: ClassVar[tuple[str, ...]] = ()
    """Parameters that decide how a trial is scored, such as the split. Trials that differ in one
    of them are not compared."""
    shown_samples: ClassVar[tuple[str, ...]] = ()
    """Columns of ``Step.samples`` that ``show`` prints; empty for all. If the first one is
    numeric, ``show`` prints the samples with its best and its worst values. If one of them is
    ``picture``, a column of PNG files as bytes (None in rows without one), ``show`` and the pages
    draw the pictures instead, one line for each value of the first column."""
    step_unit: ClassVar[str] = "step"
    """The unit of ``Step.at``, which labels the x axis of curves: a singular noun for a number in
    order, such as "epoch" (shown as ``epoch 2/3``), or a plural noun for a quantity, such as
    "images" (shown as ``352/1449 images``)."""
    example_params: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    """Parameters of short trials for ``check-task``; empty for the defaults."""
    tolerance: ClassVar[float] = 0.0
    """The largest absolute or relative difference of a metric when a trial runs again in another
    pack or on the other engine. 0 to below 1."""
    schedule_length: ClassVar[str | None] = None
    """The parameter that sets the length of a trial's schedule, such as a learning rate decay. A
    search that stops trials early must not vary it."""
    shares_steps: ClassVar[bool] = False
    """Whether the members of a pack share the work of a step. Trials with equal pack keys then
    stay in one pack instead of being spread over the workers."""
    has_weights: ClassVar[bool] = True
    """Whether a finished trial has weights to keep."""

    # --- before a trial ---------------------------------------------------------------------------

    def resolve(self, model: str, data: str) -> tuple[Source, Source]:
        """Check the model and the data, and return them with fingerprints of their content.

        The default implementation suits a task that loads neither: it accepts only the default
        names.

        Raises:
            RequestError: if the model or the data does not exist or does not fit the task.
        """
        known = {"model": self.default_model, "data": self.default_data}
        for option, given in (("model", model), ("data", data)):
            if given != known[option]:
                raise RequestError(
                    f"the only {option} of {self.name} is {known[option]!r}, but got {given!r}"
                )
        return Source(name=model, fingerprint="1"), Source(name=data, fingerprint="1")

    def for_data(self, data: Source) -> Task:
        """Return the task as it is with this data.

        Override it if columns depend on the data, for example one for each class: return a copy
        with other ``columns`` and ``per_sample``. Names of parameters and the main metric must not
        change.
        """
        return self

    def warnings(self, model: Source, data: Source) -> Sequence[str]:
        """Return one line for each reason why results with this model and data mean little."""
        return ()

    def normalize(self, trial: Trial) -> Trial:
        """Return the trial as it will run.

        Fill in parameters that depend on the model or the data. Set parameters that the trial does
        not use to one fixed value, so that equal work has equal ids. Normalizing a trial twice
        must give the same trial as normalizing it once.

        Raises:
            RequestError: if the parameters do not fit this model or data.
        """
        return trial

    def stages(self, trial: Trial) -> Sequence[Stage]:
        """Return the stages whose values the trial uses. Their own dependencies may be omitted."""
        return ()

    def pack_key(self, trial: Trial) -> Hashable:
        """Return a key; trials with equal keys may run together in one process.

        By default each trial has its own key and runs alone. Return the same key for trials that
        are short or that share work.
        """
        return trial.id

    def estimate_memory(self, trial: Trial) -> int:
        """Estimate the device memory of one member of a pack in bytes; 0 if it is negligible."""
        return 0

    def max_pack_size(self, trial: Trial) -> int | None:
        """Return the most members of a pack with this trial, >= 1; few for long steps."""
        return None

    def check_gpus(self, trial: Trial, num_gpus: int) -> None:
        """Check that several GPUs can compute a trial together, for ``--gpus-per-trial 2`` or more.

        The default implementation refuses. Override it if ``advance`` splits its work by
        ``tasks.process_group``: it then runs in one process per GPU.

        Raises:
            RequestError: if they cannot, with a sentence that says what to change.
        """
        raise RequestError(
            f"{self.name} computes a trial on one GPU; remove --gpus-per-trial (retrieval with "
            "--set trainable=full or lora can use several)"
        )

    def num_steps(self, trial: Trial) -> int | None:
        """Return ``Step.at`` of the last step if nothing stops the trial early; None if unknown.

        The live view shows it as the total and uses it to estimate the remaining time.
        """
        return None

    # --- during a trial ---------------------------------------------------------------------------

    def start(self, trial: Trial, inputs: Inputs, device: str) -> State:
        """Return the state before the first step. ``inputs[stage]`` is the value of a stage."""
        return State()

    def step(self, trial: Trial, state: State, inputs: Inputs, device: str) -> tuple[State, Step]:
        """Run one step of one trial and return the new state and the step's results.

        Do not modify ``state``. If a step takes more than a few seconds, call
        ``report_progress(done, total)`` once per batch, so that the live view shows its progress.

        Raises:
            TrialError: if the trial cannot continue, for example because its loss is not finite.
        """
        raise NotImplementedError

    def advance(
        self, pack: Sequence[Member], inputs: Inputs, device: str
    ) -> Sequence[Advanced | Exception]:
        """Run one step of every member and return the results in order.

        An exception in the result fails only that member. The default implementation calls
        ``step`` for one member after the other. Override ``advance`` instead of ``step`` to
        compute the members of a pack together.
        """
        results: list[Advanced | Exception] = []
        for number, member in enumerate(pack):
            try:
                with progress_part(number, len(pack)):
                    results.append(self.step(member.trial, member.state, inputs, device))
            except Exception as error:  # the other members continue
                results.append(error)
        return results

    # --- after a trial ----------------------------------------------------------------------------

    def weights(self, trial: Trial, state: State) -> Mapping[str, Any]:
        """Return the arrays of a finished trial's state that are its weights, by name.

        The default implementation returns all arrays, including the optimizer's. Return ``{}`` to
        keep no weights of this trial.
        """
        return state.arrays

    def export(
        self, trial: Trial, arrays: Mapping[str, Any], values: Mapping[str, Any], folder: Path
    ) -> Export:
        """Write a model that runs without this project into an empty folder.

        The default implementation writes the arrays as ``weights.safetensors``. The data set may
        no longer exist when this method is called.

        Args:
            trial: the finished trial.
            arrays: the result of ``weights`` as numpy arrays; empty for a task without weights.
            values: ``State.values`` of the last state; empty for a task without weights.
            folder: the folder to write into.
        """
        return export_arrays(arrays, folder)

    def load_image(self, trial: Trial, image_id: str) -> Any:
        """Return an image (PIL) of the trial's data by the id that its samples have.

        ``show`` and the web pages call it for the ids in the columns ``image_id`` and
        ``ranked_images`` of the samples, if the data is on the machine that shows them.

        Raises:
            RequestError: if there is no such image.
        """
        raise RequestError(f"{self.name} cannot load images, because it has no method `load_image`")

    def final(self, trial: Trial, split: str) -> Trial:
        """Return the trial that scores a finished trial on another split, for ``--final``.

        That trial reports the scores in its only or its last step. Its stages are those that
        scoring needs.

        Raises:
            RequestError: if the data has no such split.
        """
        raise RequestError(
            f"--final {split}: {self.name} cannot score another split, because it has no method "
            "`final` (docs/reference/task-contract.md); remove --final"
        )

    def restore(self, trial: Trial, arrays: Mapping[str, Any], values: Mapping[str, Any]) -> State:
        """Return the state from which a trial of ``final`` starts, for tasks with weights.

        Args:
            trial: the result of ``final``.
            arrays: the kept weights of the finished trial, as numpy arrays.
            values: ``State.values`` of the finished trial's last state.
        """
        raise NotImplementedError

    def signatures(self) -> Mapping[str, str]:
        """Return signatures of metrics, such as sacrebleu's, by metric, for ``sweep.json``."""
        return {}
