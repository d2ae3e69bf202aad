"""Search spaces as lists and ranges by parameter, from options, YAML files or Python.

--set lr=1e-5,1e-3        a list; lists alone make a grid
--set lr=1e-5..1e-2:log   a range; with a range, the space is a search that samples from the lists
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.planning.space_checks import check_num_trials, shown
from search_spaces.space import Scalar
from tasks.contract import RequestError

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})(?::(log|{_NUMBER}))?")
_QUOTES = "\"'"
_MAX_NAME = 40  # characters of the parameters in a space's name


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``, inclusive."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise RequestError(f"`low < high` must hold for a range, but got {self}")
        if self.log and self.low <= 0:
            raise RequestError(f"a range on a log scale must be above 0, but got {self}")
        if self.step is not None and (self.log or not 0 < self.step <= self.high - self.low):
            raise RequestError(
                f"the step of a range must be above 0, at most {self.high - self.low:g}, and not "
                f"on a log scale, but got {self}"
            )

    def __str__(self) -> str:
        suffix = ":log" if self.log else "" if self.step is None else f":{self.step:g}"
        return f"{self.low:g}..{self.high:g}{suffix}"


Axis = tuple[Scalar, ...] | Range


@dataclass(frozen=True, kw_only=True, slots=True)
class Axes:
    """Lists and ranges by parameter."""

    values: Mapping[str, Axis]
    zipped: tuple[tuple[str, ...], ...] = ()
    """Groups of parameters whose lists vary together, value by value."""
    conditions: Mapping[str, Mapping[str, tuple[Scalar, ...]]] = field(default_factory=dict)
    """Values of other parameters with which a parameter varies; otherwise it has its default."""

    def __post_init__(self) -> None:
        together = {name for group in self.zipped for name in group}
        for name, axis in self.values.items():
            if isinstance(axis, tuple):
                _check_list(name, axis, repeats=name in together)
        _check_zipped(self.values, self.zipped)
        for name, needed in self.conditions.items():
            known = list(self.values)
            for other in needed:
                if other not in known or known.index(other) >= known.index(name):
                    raise RequestError(
                        f"the condition of {name} refers to {other!r}, which must be a parameter "
                        f"of the space before {name}; the space has {', '.join(known)}"
                    )

    @property
    def is_search(self) -> bool:
        """Whether the space is a search, because it has a range."""
        return any(isinstance(axis, Range) for axis in self.values.values())

    @property
    def name(self) -> str:
        """A name from the parameters that vary, or from all if none do: ``grid-lr-epochs``."""
        varying = [n for n, axis in self.values.items() if isinstance(axis, Range) or len(axis) > 1]
        text = "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", n) for n in varying or self.values)
        short = text if len(text) <= _MAX_NAME else text[:_MAX_NAME].rstrip("-._")
        return f"{'search' if self.is_search else 'grid'}-{short}"

    def rows(self) -> list[dict[str, Scalar]]:
        """Return the distinct configurations of a grid, in order."""
        groups = list(self._groups())
        check_num_trials(math.prod(len(group) for group in groups), 1)
        rows: dict[str, dict[str, Scalar]] = {}
        for point in itertools.product(*groups):
            row = {name: value for part in point for name, value in part.items()}
            row = self._apply_conditions(row)
            rows.setdefault(repr(sorted(row.items())), row)
        return list(rows.values())

    def _groups(self) -> Iterator[list[dict[str, Scalar]]]:
        """Yield the values of each zipped group or single parameter, in order."""
        seen: set[str] = set()
        for name in self.values:
            if name in seen:
                continue
            names = next((group for group in self.zipped if name in group), (name,))
            seen |= set(names)
            lists = [axis for n in names if isinstance(axis := self.values[n], tuple)]
            yield [dict(zip(names, point, strict=True)) for point in zip(*lists, strict=True)]

    def _apply_conditions(self, row: Mapping[str, Scalar]) -> dict[str, Scalar]:
        kept: dict[str, Scalar] = {}
        for name in self.values:  # in order, because a condition may depend on another one
            needed = self.conditions.get(name, {})
            if all(other in kept and kept[other] in allowed for other, allowed in needed.items()):
                kept[name] = row[name]
        return kept

    def suggest(self, trial: Any, integers: frozenset[str]) -> dict[str, Scalar]:
        """Return the configuration that an Optuna trial suggests.

        ``integers`` are the names of integer parameters.
        """
        found: dict[str, Scalar] = {}
        for name, axis in self.values.items():
            needed = self.conditions.get(name, {})
            if all(other in found and found[other] in v for other, v in needed.items()):
                found[name] = _suggest(trial, name, axis, name in integers)
        return found


def _suggest(trial: Any, name: str, axis: Axis, integer: bool) -> Scalar:
    value: Scalar
    if isinstance(axis, tuple):
        value = axis[0] if len(axis) == 1 else trial.suggest_categorical(name, list(axis))
    elif integer:
        step = 1 if axis.step is None else int(axis.step)
        value = trial.suggest_int(name, int(axis.low), int(axis.high), step=step, log=axis.log)
    else:
        value = trial.suggest_float(name, axis.low, axis.high, step=axis.step, log=axis.log)
    return value


@dataclass(frozen=True, kw_only=True)
class AxesSearch:
    """The search function of axes with a range. Unlike a closure, it can be pickled."""

    axes: Axes
    integers: frozenset[str]

    def __call__(self, trial: Any) -> dict[str, Scalar]:
        """Suggest a configuration."""
        return self.axes.suggest(trial, self.integers)


def _check_list(name: str, axis: Sequence[Scalar], *, repeats: bool) -> None:
    if not axis:
        raise RequestError(f"the list of {name} is empty; add a value")
    if repeats:
        return
    keys = [repr(value) for value in axis]
    again = next((v for v, key in zip(axis, keys, strict=True) if keys.count(key) > 1), None)
    if len(set(keys)) < len(keys):
        raise RequestError(f"the list of {name} has {shown(again)} twice; remove one")


def _check_zipped(values: Mapping[str, Axis], zipped: Sequence[Sequence[str]]) -> None:
    for group in zipped:
        words = ",".join(group)
        lengths = {}
        for name in group:
            axis = values.get(name)
            if not isinstance(axis, tuple) or len(axis) < 2:
                raise RequestError(f"--zip {words}: {name} has no list of values; add --set {name}")
            lengths[name] = len(axis)
        if len(group) < 2 or len(set(group)) < len(group):
            raise RequestError(f"--zip takes several parameters, such as lr,epochs, not {words!r}")
        if len(set(lengths.values())) > 1:
            each = ", ".join(f"{name} {number}" for name, number in lengths.items())
            raise RequestError(f"--zip {words}: the lists must have equal lengths, but have {each}")
    names = [name for group in zipped for name in group]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RequestError(f"--zip names {twice} in two groups; name it in one")


# --- text -----------------------------------------------------------------------------------------


def split_list(text: str) -> list[str] | None:
    """Split text at commas outside of quotes; None if it has none.

    Brackets around the whole list are removed, so that a Python list can be pasted.

    >>> split_list("1e-5, 1e-3")
    ['1e-5', '1e-3']
    >>> split_list("'a photo, of'") is None
    True
    """
    text = text.strip()
    if text[:1] + text[-1:] in ("[]", "()") and "," in text:
        text = text[1:-1].strip()
    parts, quote, start = [], "", 0
    for at, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in _QUOTES and not text[start:at].strip():  # not the apostrophe of a word
            quote = sign
        elif sign == ",":
            parts.append(text[start:at].strip())
            start = at + 1
    if not parts or quote:
        return None
    last = text[start:].strip()
    return [*parts, last] if last else parts  # "7," is a list of one


def unquote(text: str) -> str:
    """Remove the quotes around a text."""
    inner = text[1:-1]
    quoted = len(text) >= 2 and text[0] in _QUOTES and text[-1] == text[0] and text[0] not in inner
    return inner if quoted else text


def parse_range(text: str) -> Range | None:
    """Parse a range such as ``1e-5..1e-2:log`` or ``1..9:2``; None for other text.

    >>> parse_range("1e-5..1e-2:log")
    Range(low=1e-05, high=0.01, log=True, step=None)
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        return None
    suffix = match[3]
    step = None if suffix in (None, "log") else float(suffix)
    return Range(low=float(match[1]), high=float(match[2]), log=suffix == "log", step=step)
