"""Stages: work that several trials share, computed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tasks.contract.identity import content_id
from tasks.contract.trial import Source

#: The value of a stage: numpy arrays by name, or an Arrow table. It may be shared memory: do not
#: modify it.
Value = Any


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A deterministic piece of work that trials share, such as encoding a split.

    ``function(*values of needs, **args)`` returns the value. With ``on_device`` the function also
    gets ``device=`` (a torch device string). The function must be defined at module level, and its
    result must depend only on its arguments: equal stages are computed once.

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
    """Whether the function computes on a device and gets ``device=``."""
    version: str = "1"
    """Change it when the function's result changes, because values may be cached."""

    @cached_property
    def key(self) -> str:
        """The content id of the function's name, the version, the arguments and the needs."""
        name = f"{self.function.__module__}:{self.function.__qualname__}"
        return content_id([name, self.version, self.args, [need.key for need in self.needs]])

    @property
    def label(self) -> str:
        """The stage as one readable line, such as ``encode_split(split=val, augment=None)``."""
        shown = (f"{key}={short_argument(value)}" for key, value in self.args.items())
        return f"{self.function.__name__}({', '.join(shown)})"

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stage) and self.key == other.key


#: The values of the stages that a trial needs.
Inputs = Mapping[Stage, Value]


def short_argument(value: object) -> str:
    """Return a stage's argument as text; a source is shortened to the last part of its path."""
    if not isinstance(value, Source):
        return str(value)
    return "+".join(part.rstrip("/").rsplit("/", 1)[-1] for part in value.name.split("+"))
