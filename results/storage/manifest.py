"""``sweep.json``: what a table needs beside the Parquet parts, and where the results come from.

Only this module and ``manifest_parts.py`` know its keys. Fields without a default were written by
every version; a file without them is damaged. A file of an older version gets defaults for the
others, and the keys of a newer one are written back as they were read.
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

    # What it is.
    task: str
    version: str | None = None  # of the task; None in files of old versions
    name: str
    space: str
    request: RecordedRequest | None = None
    function: str | None = None  # FILE.py:NAME, or NAME, if the task is a plain function
    replay_of: ReplaySource | None = None  # for a replay: the sweep that it runs again

    # Where it comes from: the last run that ran a trial.
    command: tuple[str, ...]  # without secrets
    versions: Mapping[str, str | None]  # of Python and the main packages
    git: GitState | None  # None outside a checkout
    hardware: Mapping[str, Any]  # system, cores, memory in GiB, names of GPUs
    environment: Environment | None = None
    started: str  # of the last run: ISO 8601, in UTC
    seconds: float  # the last run took; 0 until it ends
    engine: str  # ray or local
    first_started: str | None = None  # of the first run; None if there was only one
    earlier_seconds: float = 0.0  # that the runs before the last took, as far as they ended
    num_runs: int = 1

    # What it runs.
    search: Search | None = None  # None for a grid or a report
    keep: str | int | None = None  # whose weights stay, as for ``--keep``; None if none are made
    seeds: tuple[int, ...]
    num_trials: int | None = None  # to run in all, reused ones included
    num_left_out: int = 0  # of these: those of a search that never run, such as pruned seeds
    model: Source
    data: Source

    # What its numbers mean, as the task declares them.
    params: Mapping[str, str]  # name -> float, int, bool or str
    columns: tuple[Column, ...]
    metric: Metric
    paired: tuple[PerSampleMetric, ...]
    front: tuple[str, ...] | None = None  # names of two metrics, if it has a front
    scoring_params: tuple[str, ...] = ()  # parameters that change what the metric measures
    shown_samples: tuple[str, ...] | None = None  # columns that ``show`` prints; None for all
    step_unit: str = "step"
    tolerance: float = 0.0  # between two runs of one trial, absolute or relative; >= 0
    signatures: Mapping[str, Any] = field(default_factory=dict)  # how metrics were counted

    # What the paper says.
    tables: tuple[ReportTable, ...]  # of a report; empty for a grid or a search
    claims: tuple[RecordedClaim, ...] = ()
    published: PublishedSource | None = None
    errata: tuple[RecordedErratum, ...] = ()

    #: The JSON that it was read from, without its schema; empty for one that was made here.
    as_read: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(
        cls,
        content: str | bytes | Mapping[str, Any],
        file: str = "sweep.json",
        fix: str = "run the sweep again, or move its folder away",
    ) -> Manifest:
        """The manifest from the text of a ``sweep.json``, or from its parsed content.

        Args:
            content: the text, or the mapping that it holds.
            file, fix: for errors, the file's name, and what to do if it is damaged.

        Raises:
            StoreError: if it is damaged, naming the key, or has a newer schema.
        """
        try:
            read = json.loads(content) if isinstance(content, (str, bytes)) else content
            if not isinstance(read, Mapping):
                raise JsonTypeError("it holds no mapping")
            _check_schema(read, file)
            manifest = _decode(read)
            _check(manifest)
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{file} is damaged ({error}); {fix}") from None
        return manifest

    def to_json(self) -> dict[str, Any]:
        """The content of ``sweep.json`` as plain values.

        What a newer version wrote beside the known keys is in it, also inside of those values that
        were not replaced since they were read.
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
        """The text of ``sweep.json``."""
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
    def columns_by_key(self) -> dict[str, Column]:
        """The columns by their keys."""
        return {column.key: column for column in self.columns}

    def paired_of(self, metric: str) -> PerSampleMetric | None:
        """What backs a metric in ``samples``; None if nothing does."""
        return next((paired for paired in self.paired if paired.metric == metric), None)

    @property
    def unit(self) -> str:
        """What the main metric is a mean over, in the singular: ``query``."""
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
    """An item of ``paired`` with ``aggregate``; older versions called it ``formula``."""
    if not isinstance(paired, dict) or "aggregate" in paired or "formula" not in paired:
        return paired
    return {**paired, "aggregate": paired["formula"]}


def _check(manifest: Manifest) -> None:
    """Refuse what no table can be made from, now and not in the middle of one."""
    known = manifest.columns_by_key
    for name in (manifest.metric.name, *(manifest.front or ())):
        if f"metric.{name}" not in known:
            raise JsonTypeError(f"none of its 'columns' is the metric {name!r}")
    for claim in manifest.claims:
        if not any(isinstance(side, RowSide) for side in claim.sides):
            raise JsonTypeError(f"its claim {claim.text!r} is about no row")
    for paired in manifest.paired:
        if paired.aggregate != MEAN:
            aggregation(paired.aggregate)
