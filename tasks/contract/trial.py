"""Trials: everything that a result depends on."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tasks.contract.identity import content_id

#: The absolute paths in ``folder:/data/photos`` or ``/models/vit+/models/bert``.
_PATHS = re.compile(r"(^|[:+])/[^+]*")
#: An id and its revision, such as ``hub:user/photos@COMMIT``: a copy in a folder is the same data.
_HUB_DATA = re.compile(r"(?<=^hub:).*", re.DOTALL)

#: The value of a parameter.
Scalar = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A data set or a model: the name that the user gave, and a fingerprint of its content."""

    name: str
    fingerprint: str

    def content(self) -> dict[str, str]:
        """Return the part that a content id hashes, which has no absolute paths."""
        name = _HUB_DATA.sub("", _PATHS.sub(r"\1", self.name))
        return {"name": name, "fingerprint": self.fingerprint}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Everything that a result depends on.

    ``params`` is an instance of the task's ``Params``: frozen, validated, with plain fields.

    Examples:
        >>> @dataclass(frozen=True, kw_only=True)
        ... class Params:
        ...     lr: float = 0.1
        >>> none = Source(name="none", fingerprint="1")
        >>> trial = Trial(task="toy", version="1", params=Params(), seed=0, model=none, data=none)
        >>> trial.id
        '15abbee4eb108827'
        >>> trial.param_values()
        {'lr': 0.1}
    """

    task: str
    version: str
    params: Any
    seed: int
    model: Source
    data: Source

    @cached_property
    def id(self) -> str:
        """Sixteen hex digits. Equal trials have equal ids, in every process and sweep."""
        return content_id(self)

    def param_values(self) -> dict[str, Scalar]:
        """Return the parameters by name; the results store them as ``param.<name>``."""
        return {f.name: getattr(self.params, f.name) for f in dataclasses.fields(self.params)}
