"""The parts of a ``Manifest``, which are objects in ``sweep.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.contract import Scalar

# --- the paper's rows and claims ------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ReportRow:
    """A planned row of a table, with its published numbers."""

    params: Mapping[str, Scalar]  # all parameters of the task
    report: Mapping[str, float]  # the paper's numbers, by the keys that tables/details.py lists
    published: Mapping[str, float] = field(default_factory=dict)  # those of another publication
    label: str | None = None  # a remark, such as that the row is not from the paper


@dataclass(frozen=True, kw_only=True)
class ReportTable:
    """A planned table of the search space."""

    title: str
    note: str  # a line below the table; may be empty
    rows: tuple[ReportRow, ...]
    source: str = ""  # the other publication


@dataclass(frozen=True, kw_only=True)
class RowSide:
    """One side of a claim that is a row of a table."""

    label: str
    metric: str
    params: Mapping[str, Scalar]
    published: float | None = None  # None if no published number applies to this sweep


@dataclass(frozen=True, kw_only=True)
class NumberSide:
    """One side of a claim that is a number."""

    number: float

    @property
    def published(self) -> float:
        """The number itself."""
        return self.number


@dataclass(frozen=True, kw_only=True)
class RecordedClaim:
    """A claim of the paper about the difference left minus right."""

    text: str
    kind: str  # "stated" by the space, or "published": derived from two published numbers
    relation: Literal["<", "<=", "==", ">=", ">"]
    margin: float  # >= 0, in units of the metric
    left: RowSide | NumberSide
    right: RowSide | NumberSide
    untested: str = ""  # why the claim cannot be tested in this sweep; empty if it can

    @property
    def sides(self) -> tuple[RowSide | NumberSide, RowSide | NumberSide]:
        """The left and the right side."""
        return self.left, self.right


@dataclass(frozen=True, kw_only=True)
class RecordedErratum:
    """A known mistake of the paper."""

    text: str
    evidence: str
    shown: bool | None  # whether the published numbers show it; None if that is not checked


@dataclass(frozen=True, kw_only=True)
class PublishedSource:
    """The source of the published numbers."""

    model: str
    data: str
    noise: str  # the difference between two of them that may be chance, in words


# --- the request ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RecordedRequest:
    """The parts of a request that must be equal to resume a sweep, except model and data."""

    space: str
    file: str | None = None  # the path of a space file
    file_hash: str | None = None  # the hash of its text
    settings: Mapping[str, Scalar] = field(default_factory=dict)  # the values of ``--set``
    #: The options of a search; those of ``learn-from`` without credentials.
    search: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Search:
    """How a search chooses its configurations."""

    trials: int  # the number of configurations to try, > 0
    sampler: Mapping[str, Any]  # its ``name`` and its arguments
    pruner: Mapping[str, Any]
    #: The metrics that it optimizes together, each with maximize or minimize; empty for the task's
    #: main metric alone.
    metrics: Mapping[str, str] = field(default_factory=dict)
    #: ``task/name`` of the sweeps that its sampler learned from -> number of their configurations.
    learned_from: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReplaySource:
    """The archived sweep that a replay runs again."""

    name: str
    digest: str  # the SHA-256 of its archive


# --- the origin -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class GitState:
    """The state of the checkout from which the code ran."""

    commit: str
    dirty: bool = False  # whether tracked files had changes


@dataclass(frozen=True, kw_only=True)
class SpaceText:
    """The source code of the search space."""

    name: str
    file: str | None = None  # the name of the file; None if it could not be read
    text: str | None = None  # without secrets and home folders


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The exact software of a run."""

    distributions: tuple[str, ...] = ()  # ``name==version``, sorted
    local: tuple[str, ...] = ()  # names of packages installed from a folder or repository
    diff: str = ""  # changes of the checkout since its commit
    untracked: tuple[str, ...] = ()  # Python files that git does not track
    space: SpaceText | None = None
