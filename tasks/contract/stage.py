"""A stage: work that several trials share, computed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tasks.contract.identity import content_id
from tasks.contract.trial import Source

#: What a stage returns: numpy arrays by name, or an Arrow table. It is read without a copy and must
#: not be written to.
Value = Any


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A deterministic piece of work that trials share, such as encoding a split.

    ``function(*values of needs, **args)`` returns the value; with ``on_device`` it also gets
    ``device=`` (a torch device string). It must be importable (module level) and depend on its
    arguments alone: two equal stages are one.

    Examples:
        >>> def draw_points(*, split): ...
        >>> train = Stage(function=draw_points, args={"split": "train"})
        >>> train.label
        'draw_points(split=train)'
        >>> train == Stage(function=draw_points, args={"split": "train"})
        True
    """

    function: Callable[..., Value]
    """Computes the value."""
    args: Mapping[str, Any] = field(default_factory=dict)
    """The function's keyword arguments: plain values."""
    needs: tuple[Stage, ...] = ()
    """Stages whose values are the function's first arguments."""
    on_device: bool = False
    """Whether the function computes on a device, and gets ``device=``."""
    version: str = "1"
    """Raise it when the function's result changes, because values may be kept."""

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


#: The values of the stages that a trial needs.
Inputs = Mapping[Stage, Value]


def short_argument(value: object) -> str:
    """The text of a stage's argument; of a source only the last part of its path, or paths."""
    if not isinstance(value, Source):
        return str(value)
    return "+".join(part.rstrip("/").rsplit("/", 1)[-1] for part in value.name.split("+"))
