"""``make_plan``: checks a request and makes its trials."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.functions.finding import find_space, find_task
from orchestrator.functions.package_source import package_identity
from orchestrator.planning import task_calls
from orchestrator.planning.claim_checks import check_claims
from orchestrator.planning.metric_params import check_metric_params
from orchestrator.planning.objectives import (
    Objective,
    describe_objectives,
    read_objectives,
)
from orchestrator.planning.plan import PlannedRow, TrialFactory, distinct_trials, plan_rows
from orchestrator.planning.settings import parse_settings
from orchestrator.planning.space_checks import (
    check_num_trials,
    check_published_numbers,
    check_seeds,
)
from orchestrator.planning.space_file import SpaceFile
from orchestrator.planning.spaces import Space
from orchestrator.request import Request
from orchestrator.running.final_check import check_final
from orchestrator.running.learned import learn_from
from orchestrator.running.naming import Identity, choose_name
from orchestrator.running.recorded import RecordedSweep
from orchestrator.running.request_checks import (
    check_gpus,
    check_options,
    check_search,
    check_search_options,
)
from orchestrator.running.space_request import check_metric, read_space_of
from orchestrator.saving.keep_policy import Keep, choose_keep
from orchestrator.search.options import DEFAULT_PRUNER, DEFAULT_SAMPLER, describe
from results.redaction import redact
from results.storage.manifest import Manifest
from results.storage.manifest_parts import Search
from results.storage.store import check_name
from tasks.contract import RequestError, Task, Trial

if TYPE_CHECKING:
    from orchestrator.search.learning import Learned


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A checked request, with its task, space, trials and name."""

    request: Request
    task: Task
    space: Space
    factory: TrialFactory
    seeds: tuple[int, ...]
    name: str
    planned: list[list[PlannedRow]]
    identity: Identity
    keep: Keep
    objectives: tuple[Objective, ...] = ()  # of a search for several metrics
    notice: str = ""  # tells the user about a name that is not the space's
    manifest_before: Manifest | None = None  # of the runs that it continues
    recorded: RecordedSweep | None = None  # for a replay: the sweep that runs again

    @property
    def seeds_before(self) -> tuple[int, ...]:
        """The seeds of earlier runs of this sweep whose trials are in the same tables."""
        before = self._before
        if before is None or not (
            before.model.fingerprint == self.factory.model.fingerprint
            and before.data.fingerprint == self.factory.data.fingerprint
        ):
            return ()
        return before.seeds

    @property
    def _before(self) -> Manifest | None:
        """The manifest of earlier runs with the same version of the task."""
        before = self.manifest_before
        return before if before and before.version in (None, self.task.version) else None

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The hashes of the task's code in all runs of this sweep; empty for built-in tasks."""
        now = package_identity(self.task)
        if now is None:
            return ()
        before = () if self._before is None else self._before.sources
        return (now,) if self.request.rerun else tuple(dict.fromkeys((*before, now)))

    def notices(self) -> list[str]:
        """Return what the user may not expect: another name, or results of earlier code."""
        found = [self.notice] if self.notice else []
        if len(self.sources) > 1:
            found.append(
                f"The code of {self.task.name} has changed since trials of this sweep ran, but "
                f"its version is still {self.task.version}, so finished trials do not run again. "
                "If the change affects results, raise `version` in the task, or use --rerun."
            )
        return found

    def search(self) -> Search:
        """Return the search options as ``sweep.json`` records them."""
        request = self.request
        search = describe(request.trials, request.sampler, request.pruner, self.objectives)
        if not request.learn_from:
            return search
        return dataclasses.replace(search, learned_from=self.learned.num_by_sweep)

    @cached_property
    def learned(self) -> Learned:
        """What a search learns from the sweeps of ``--learn-from``."""
        return learn_from(self)

    def warnings(self) -> list[str]:
        """Return the task's warnings about this model and data."""
        return list(self.task.warnings(self.factory.model, self.factory.data))

    @cached_property
    def trials(self) -> list[Trial]:
        """The distinct trials of the space's rows; empty for a search."""
        return distinct_trials(self.planned)


def make_plan(request: Request) -> Plan:
    """Check a request and make its trials. Imports neither torch nor Ray.

    Raises:
        RequestError: at the first problem with the request.
    """
    request = read_space_of(request)
    seeds = check_seeds(request.seeds)
    for option, number in (("--seeds", len(seeds)), ("--trials", request.trials)):
        if number < 1:
            value = request.seeds if option == "--seeds" else number
            raise RequestError(f"{option} must be at least 1, but is {value}")
    check_options(request)
    task = find_task(request.task, request.metric, request.maximize)
    settings = parse_settings(task, request.settings)
    if isinstance(request.space, SpaceFile):
        check_metric(request.space, task)
    space = find_space(task, request.space, settings, request.zipped)
    if space.search is None:
        name = request.space if isinstance(request.space, str) else space.name
        check_search_options(_search_options(request), name)
    objectives = _objectives(request, task, space)
    if objectives and "pruner" not in request.given and request.pruner == DEFAULT_PRUNER:
        request = dataclasses.replace(request, pruner="none")
    if space.search is not None:
        check_search(request, len(seeds), objectives)
    metrics = [c.key.removeprefix("metric.") for c in task.columns if c.key.startswith("metric.")]
    check_published_numbers(space.tables, task.columns)
    check_claims(space.claims, space.published, space.errata, space.tables, metrics)
    listed = sum(len(table.rows) for table in space.tables)
    check_num_trials(request.trials if space.search else listed, len(seeds))
    model, data = task_calls.resolve(
        task,
        task.default_model if request.model is None else request.model,
        task.default_data if request.data is None else request.data,
    )
    task = task_calls.for_data(task, data)
    factory = TrialFactory(task=task, model=model, data=data, fixed=settings.fixed)
    if space.search is not None:
        planned: list[list[PlannedRow]] = []
        first = factory.trial({}, 0)  # checks that the defaults fit this model and data
    else:
        planned = plan_rows(space, factory, seeds)
        trials = distinct_trials(planned)
        check_metric_params(task, [task.metric.name], trials)
        check_gpus(request, task, trials)
        first = trials[0]
    task_calls.try_methods(task, first)
    if request.final is not None:
        check_final(task, first, request.final, request.keep)
    identity = _identity(request, task, space, factory, objectives)
    chosen = choose_name(
        identity,
        given=None if request.name is None else check_name(request.name),
        defaults={
            "model": task.default_model,
            "data": task.default_data,
            "sampler": DEFAULT_SAMPLER,
            "pruner": "none" if objectives else DEFAULT_PRUNER,
        },
        out=request.out,
        task=task.name,
    )
    return Plan(
        request=request,
        task=task,
        space=space,
        factory=factory,
        seeds=tuple(seeds),
        name=check_name(chosen.name),
        planned=planned,
        objectives=objectives,
        identity=identity,
        keep=choose_keep(request.keep, task, chosen.manifest),
        notice=chosen.notice,
        manifest_before=chosen.manifest,
    )


def _search_options(request: Request) -> dict[str, object]:
    """Return the options that only a search has and that the user gave."""
    several = request.metrics if len(request.metrics) > 1 else ()
    return {
        **request.given,
        "metric": " --metric ".join(several) or None,
        "learn-from": " --learn-from ".join(request.learn_from) or None,
    }


def _objectives(request: Request, task: Task, space: Space) -> tuple[Objective, ...]:
    """Return the metrics that a search optimizes together; none if it has one metric."""
    if request.metrics:  # they replace those of the space
        given, source = request.metrics if len(request.metrics) > 1 else (), "--metric"
    else:
        given, source = space.metrics, f"METRICS of the space {space.name!r}"
    found = read_objectives(given, task, source) if given else ()
    return found if len(found) > 1 else ()


def _identity(
    request: Request,
    task: Task,
    space: Space,
    factory: TrialFactory,
    objectives: Sequence[Objective],
) -> Identity:
    chosen: dict[str, str | tuple[str, ...]] = {
        "sampler": request.sampler,
        "pruner": request.pruner,
    }
    if len(request.metrics) > 1:
        chosen["metric"] = describe_objectives(objectives)
    elif request.metrics and space.metrics:
        metric = factory.task.metric
        chosen["metric"] = f"{metric.name}:{metric.direction}"
    if request.learn_from:
        chosen["learn-from"] = tuple(map(redact, request.learn_from))
    # Another metric than the task's own; functions have only one.
    own = getattr(type(task), "metric", task.metric)
    other = {} if task.metric == own or objectives else {"metric": task.metric.name}
    return Identity(
        space=space.name,
        file=space.file,
        file_hash=space.file_hash,
        settings=factory.fixed,
        search={**(chosen if space.search is not None else {}), **other},
        model=factory.model,
        data=factory.data,
    )
