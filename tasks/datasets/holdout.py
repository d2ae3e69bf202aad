"""A seeded share of the training images as val: ``folder:DIR,val=0.1`` or ``,val=0.1,seed=1``.

Which images are held out depends on their ids and the seed alone: not on their order, nor on the
machine. When images are added, nearly all that were held out before still are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.contract import DataError

_SUFFIX = re.compile(r"(?P<folder>.+?),val=(?P<share>[^,]*)(?:,seed=(?P<seed>[^,]*))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Holdout:
    """The share of the training images that becomes val, above 0 and below 1."""

    share: float
    seed: int = 0

    def __str__(self) -> str:
        seed = f",seed={self.seed}" if self.seed else ""
        return f",val={self.share:g}{seed}"

    def choose(self, ids: Sequence[str]) -> set[str]:
        """The ids that are held out: at least one, and never all.

        Raises:
            DataError: if there are fewer than two.
        """
        if len(ids) < 2:
            raise DataError(f"val={self.share:g} needs two training images, but got {len(ids)}")
        number = min(max(1, round(self.share * len(ids))), len(ids) - 1)
        return set(sorted(ids, key=self._rank)[:number])

    def _rank(self, image_id: str) -> bytes:
        return hashlib.blake2b(f"{self.seed}\n{image_id}".encode(), digest_size=16).digest()


def split_name(name: str) -> tuple[str, Holdout | None]:
    """``DIR,val=0.1`` as the folder and what is held out; a plain folder as it is.

    Raises:
        DataError: if the share or the seed is no such number.
    """
    found = _SUFFIX.fullmatch(name)
    if found is None:
        return name, None
    try:
        share, seed = float(found["share"]), int(found["seed"] or 0)
    except ValueError:
        share, seed = 0.0, 0
    if not 0 < share < 1 or seed < 0:
        given = name.removeprefix(found["folder"])
        raise DataError(
            f"--data DIR,val=SHARE takes a share above 0 and below 1 and a seed from 0 on, such as "
            f"DIR,val=0.1 or DIR,val=0.1,seed=1, but got {given!r}"
        )
    return found["folder"], Holdout(share=share, seed=seed)
