"""``sweep.json``: the facts that tables need in addition to Parquet parts, and their origin.

Only this module and ``manifest_parts.py`` know its keys. Every version writes the fields without a
default, so a file without them is damaged. Other fields get their defaults if an older version
wrote the file. Keys of a newer version are preserved when the file is written again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from results.statistics.aggregation import MEAN, aggregation
from results.storage.manifest_parts import (
    Environment,
    GitState,
    PublishedSource,
    RecordedClaim,
    RecordedErratum,
    RecordedRequest,
    ReplaySource,
    ReportTable,
    RowSide,
    Search,
)
from results.storage.schema import VERSION
from results.storage.typed_json import JsonTypeError, decode, encode
from tasks.contract import Column, Metric, PerSampleMetric, Source, StoreError


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of one ``sweep.json``."""

    # The sweep.
    task: str
    version: str | None = None  # of the task; None in files of old versions
    name: str
    space: str
    request: RecordedRequest | None = None
    sources: tuple[str, ...] = ()  # hashes of the code of a plug-in task while trials ran
    function: str | None = None  # FILE.py:NAME, or NAME, if the task is a plain function
    replay_of: ReplaySource | None = None  # for a replay: the original sweep

    # Its origin: the last run that ran a trial.
    command: tuple[str, ...]  # without secrets
    versions: Mapping[str, str | None]  # of Python and the main packages
    git: GitState | None  # None outside a checkout
    hardware: Mapping[str, Any]  # system, cores, memory in GiB, names of GPUs
    environment: Environment | None = None
    started: str  # start of the last run: ISO 8601, in UTC
    seconds: float  # duration of the last run; 0 until it ends
    engine: str  # ray or local
    first_started: str | None = None  # start of the first run; None if there was only one run
    earlier_seconds: float = 0.0  # duration of the runs before the last, except interrupted ones
    num_runs: int = 1

    # Its trials.
    search: Search | None = None  # None for a grid or a report
    keep: str | int | None = None  # the value of ``--keep``; None if the task has no weights
    seeds: tuple[int, ...]
    num_trials: int | None = None  # the number of planned trials, including reused ones
    num_left_out: int = 0  # of those, the ones that never run, such as seeds of pruned trials
    model: Source
    data: Source

    # The meaning of its numbers, as the task declares it.
    params: Mapping[str, str]  # name -> float, int, bool or str
    columns: tuple[Column, ...]
    metric: Metric
    paired: tuple[PerSampleMetric, ...]
    front: tuple[str, ...] | None = None  # the two metrics of the Pareto front, if there is one
    scoring_params: tuple[str, ...] = ()  # parameters that change what the metric measures
    shown_samples: tuple[str, ...] | None = None  # columns that ``show`` prints; None for all
    step_unit: str = "step"
    tolerance: float = 0.0  # of two runs of one trial, absolute or relative; >= 0
    signatures: Mapping[str, Any] = field(default_factory=dict)  # such as sacrebleu's, by metric

    # The paper.
    tables: tuple[ReportTable, ...]  # of a report; empty for a grid or a search
    claims: tuple[RecordedClaim, ...] = ()
    published: PublishedSource | None = None
    errata: tuple[RecordedErratum, ...] = ()

    #: The JSON that the manifest was read from, without its schema; empty for a new manifest.
    as_read: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(
        cls,
        content: str | bytes | Mapping[str, Any],
        file: str = "sweep.json",
        fix: str = "run the sweep again, or move its folder away",
    ) -> Manifest:
        """Create a manifest from the text of a ``sweep.json``, or from its parsed content.

        Args:
            content: the text, or its content as a mapping.
            file: the name of the file, for error messages.
            fix: the fix in the error message of a damaged file.

        Raises:
            StoreError: if the file is damaged or has a newer schema; the message names the key.
        """
        try:
            read = json.loads(content) if isinstance(content, (str, bytes)) else content
            if not isinstance(read, Mapping):
                raise JsonTypeError("it is not a JSON object")
            _check_schema(read, file)
            manifest = _decode(read)
            _check(manifest)
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{file} is damaged ({error}); {fix}") from None
        return manifest

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``sweep.json`` as plain values.

        It includes the keys that a newer version wrote, also inside values that have not been
        replaced since they were read.
        """
        known = {name: encode(getattr(self, name)) for name in _KEYS}
        before = _decode(self.as_read) if self.as_read else self
        kept = {
            key: value
            for key, value in self.as_read.items()
            if key not in _KEYS or getattr(before, key) == getattr(self, key)
        }
        return {"schema": VERSION, **known, **kept}

    def to_text(self) -> str:
        """Return the text of ``sweep.json``."""
        return json.dumps(self.to_json(), indent=1)

    # --- short cuts -------------------------------------------------------------------------------

    @property
    def full_name(self) -> str:
        """``task/name``."""
        return f"{self.task}/{self.name}"

    @property
    def main_key(self) -> str:
        """The main metric as a column of ``trials``: ``metric.i2t_r1``."""
        return f"metric.{self.metric.name}"

    @property
    def main_column(self) -> Column:
        """The column of the main metric."""
        return next(column for column in self.columns if column.key == self.main_key)

    @property
    def maximize(self) -> bool:
        """Whether a higher main metric is better."""
        return self.metric.direction == "maximize"

    @property
    def objectives(self) -> Mapping[str, str]:
        """The metrics that have a Pareto front, each with maximize or minimize.

        They are those of the search if it optimizes several, otherwise those of the task, if any.
        """
        if self.search is not None and self.search.metrics:
            return self.search.metrics
        return dict.fromkeys(self.front or (), "maximize")

    @property
    def columns_by_key(self) -> dict[str, Column]:
        """The columns by their keys."""
        return {column.key: column for column in self.columns}

    def paired_of(self, metric: str) -> PerSampleMetric | None:
        """Return how a metric is computed from ``samples``; None if it is not."""
        return next((paired for paired in self.paired if paired.metric == metric), None)

    @property
    def unit(self) -> str:
        """The unit over which the main metric is a mean, in the singular: ``query``."""
        paired = self.paired_of(self.metric.name)
        return paired.unit if paired else "unit"


_KEYS = [each.name for each in dataclasses.fields(Manifest) if each.name != "as_read"]


def _check_schema(read: Mapping[str, Any], file: str) -> None:
    version = read.get("schema", 0)
    if not isinstance(version, int):
        raise JsonTypeError(f"its 'schema' must be an integer, but is {version!r}")
    if version > VERSION:
        raise StoreError(
            f"{file} has schema {version}, this version reads up to {VERSION}: update the project"
        )


def _decode(read: Mapping[str, Any]) -> Manifest:
    content = {key: value for key, value in read.items() if key in _KEYS}
    if isinstance(content.get("paired"), list):
        content["paired"] = [_rename_formula(each) for each in content["paired"]]
    as_read = {key: value for key, value in read.items() if key != "schema"}
    return dataclasses.replace(decode(Manifest, content), as_read=as_read)


def _rename_formula(paired: Any) -> Any:
    """Rename ``formula``, from older versions, to ``aggregate`` in an item of ``paired``."""
    if not isinstance(paired, dict) or "aggregate" in paired or "formula" not in paired:
        return paired
    return {**paired, "aggregate": paired["formula"]}


def _check(manifest: Manifest) -> None:
    """Raise an error if no table can be made from a manifest."""
    known = manifest.columns_by_key
    for name in (manifest.metric.name, *manifest.objectives):
        if f"metric.{name}" not in known:
            raise JsonTypeError(f"none of its 'columns' is the metric {name!r}")
    for claim in manifest.claims:
        if not any(isinstance(side, RowSide) for side in claim.sides):
            raise JsonTypeError(f"its claim {claim.text!r} refers to no row")
    for paired in manifest.paired:
        if paired.aggregate != MEAN:
            aggregation(paired.aggregate)
