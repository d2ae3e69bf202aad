"""What a task is: the types that tasks, engines and tables share. Standard library only.

    Trial   everything a result depends on, and its content id
    Stage   work that several trials share, computed once
    State   a trial between two steps; saving it is the checkpoint
    Step    what one step of a trial yields
    Task    the protocol a folder under ``tasks/`` implements

Exceptions, one tree:

    SweepError              anything this project raises on purpose
    ├── RequestError        the request was wrong: one line on stderr, exit status 2
    │   ├── DataError       a data set is missing, damaged or of the wrong layout
    │   └── ModelError      a model is missing, damaged or of the wrong architecture
    ├── TrialError          one trial cannot go on: it becomes a row, the others continue
    └── StoreError          results cannot be written or read
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from tasks.progress import progress_part as progress_part  # for tasks to import from here
from tasks.progress import report_progress as report_progress

Scalar = str | int | float | bool | None


class SweepError(Exception):
    """Anything this project raises on purpose."""


class RequestError(SweepError):
    """The request was wrong: one line that says what and how to mend it, exit status 2."""


class DataError(RequestError):
    """A data set is missing, damaged or of the wrong layout."""


class ModelError(RequestError):
    """A model is missing, damaged or of the wrong architecture."""


class TrialError(SweepError):
    """One trial cannot go on. It becomes a row with this reason; the others continue."""


class StoreError(SweepError):
    """Results cannot be written or read."""


def content_id(value: object, length: int = 16) -> str:
    """The first ``length`` hex digits of the SHA-256 of ``value`` as canonical JSON.

    Dataclasses count by their fields, so two equal values have one id in any process.
    """
    text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"a content id hashes plain values and dataclasses, but got {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A data set or a model: the name a user types, and a fingerprint of its content."""

    name: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Everything a result depends on; nothing else moves a number.

    ``params`` is an instance of the task's ``Params``: frozen, validated, all fields plain.
    """

    task: str
    version: str
    params: Any
    seed: int
    model: Source
    data: Source

    @cached_property
    def id(self) -> str:
        """Sixteen hex digits: equal trials have equal ids, in any process and sweep."""
        return content_id(self)

    def param_values(self) -> dict[str, Scalar]:
        """The parameters by name, as they stand in the results under ``param.<name>``."""
        return {f.name: getattr(self.params, f.name) for f in dataclasses.fields(self.params)}


#: What a stage gives: numpy arrays by name, or an Arrow table. Read without a copy, never written.
Value = Any


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A deterministic piece of work that trials share, such as encoding a split.

    ``function(*values of needs, **args)`` gives the value; with ``on_device`` it also gets
    ``device=`` (a torch device string). It must be importable (module level) and depend on its
    arguments alone: two equal stages are one.
    """

    function: Callable[..., Value]
    args: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[Stage, ...] = ()
    on_device: bool = False
    version: str = "1"  # raise it when the function's result would change: values may be kept

    @cached_property
    def key(self) -> str:
        """The content id: the function's name and version, its arguments and what it needs."""
        name = f"{self.function.__module__}:{self.function.__qualname__}"
        return content_id([name, self.version, self.args, [need.key for need in self.needs]])

    @property
    def label(self) -> str:
        """One readable line for a dry run: ``encode_split(split=val, augment=None)``."""
        shown = (f"{key}={short_argument(value)}" for key, value in self.args.items())
        return f"{self.function.__name__}({', '.join(shown)})"

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stage) and self.key == other.key


def short_argument(value: object) -> str:
    """A source by the last part of its path, or of both where it is a pair."""
    if not isinstance(value, Source):
        return str(value)
    return "+".join(part.rstrip("/").rsplit("/", 1)[-1] for part in value.name.split("+"))


@dataclass(kw_only=True, slots=True)
class State:
    """A trial between two steps: what a checkpoint holds, and all that ``advance`` goes on from.

    ``arrays`` are numpy arrays or torch tensors by name (optimiser moments included); ``values``
    are plain (numbers, strings, lists of them). Draw random numbers from (seed, epoch) and no
    generator has to be kept.
    """

    arrays: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What one step yields.

    ``at`` is the epoch, rung or number of images seen and grows from step to step; ``metrics`` hold
    the task's own one at least at the last step (and pruning looks at the steps that have it);
    ``samples`` are columns of equal length, kept of a trial's last step; their names must not be
    ``task``, ``sweep``, ``trial_id`` or ``seed``. ``done`` ends the trial.
    """

    at: int
    metrics: Mapping[str, float]
    samples: Mapping[str, Sequence[Any]] | None = None
    done: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One trial of a pack, with the state it goes on from."""

    trial: Trial
    state: State


Advanced = tuple[State, Step]
Inputs = Mapping[Stage, Value]


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of the summary table.

    A metric that is no mean of samples can bring its own 95 % interval: where the columns also have
    its key with ``_low`` and with ``_high`` (as ``detail``), its cell shows them.
    """

    key: str  # "param.lr" or "metric.i2t_r1", as in the Parquet table
    label: str  # the heading
    format: Literal["percent", "score", "number", "scientific", "integer", "text"] = "text"
    # percent: 0..1 printed times 100; score: 0..100 as it stands, both with two decimals;
    # number: four significant digits
    pick: Literal["last", "best"] = "last"  # of a metric: the last step's value, or the best step's
    detail: bool = False  # only beside a number of the paper, not in the summary table
    chart: str = ""  # of a metric: the chart over steps that it is a line of; none for ""
    log: bool = False  # whether that chart's axis is logarithmic


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """The number that a sweep is judged by."""

    name: str  # "i2t_r1", in the results as metric.i2t_r1
    label: str
    direction: Literal["maximize", "minimize"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """How ``samples`` back a metric up unit by unit, for intervals and paired tests.

    The metric is the mean over units (queries, images) of ``value``, or of ``value <= at_most``
    where that is given, among rows with the values that ``where`` gives by column.

    A metric that is no mean, such as corpus BLEU or IoU, has an ``aggregate``: arithmetic over
    ``sums``, the sums over units of ``value``, a list of numbers of fixed length. For example
    ``mean(sums[0:3] / sums[3:6])`` is the mean IoU of three classes whose ``value`` is three
    intersections and three unions. ``results/statistics/aggregation.py`` defines the arithmetic.
    """

    metric: str
    unit: str
    value: str
    at_most: float | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    aggregate: str = "mean"


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """What ``task.export`` wrote, as far as the model card needs to know."""

    usage: str  # a Python program that runs in the exported folder
    library: str | None = None  # as the Hugging Face Hub names it: "transformers"
    pipeline: str | None = None  # the Hub's name of what the model does: "image-to-text"
    license: str | None = None  # an identifier such as "apache-2.0"; None: unknown
    data_license: str | None = None  # the same of the training data
    base_models: Sequence[str] = ()  # ids on the Hub of the models that it was made from
    notes: Sequence[str] = ()  # sentences on how the exported model differs from the trial


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
