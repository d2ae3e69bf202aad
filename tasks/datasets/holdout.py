"""Hold out a random fraction of the training images as val: ``folder:DIR,val=0.1``.

``folder:DIR,val=0.1,seed=1`` chooses other images. The choice depends only on the ids and the seed,
not on the order of the images or the machine. If images are added later, almost all images that
were held out stay held out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tasks.contract import DataError

Entry = TypeVar("Entry")

_SUFFIX = re.compile(r"(?P<folder>.+?),val=(?P<share>[^,]*)(?:,seed=(?P<seed>[^,]*))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Holdout:
    """The fraction of the training images that becomes val, above 0 and below 1."""

    share: float
    seed: int = 0

    def __str__(self) -> str:
        seed = f",seed={self.seed}" if self.seed else ""
        return f",val={self.share:g}{seed}"

    def apply(
        self,
        splits: Mapping[str, Sequence[Entry]],
        root: object,
        id_of: Callable[[Entry], str],
    ) -> dict[str, Sequence[Entry]]:
        """Return the splits with part of train as val.

        Args:
            splits: the entries of each split.
            root: the data set, for errors.
            id_of: returns the id of an entry's image.

        Raises:
            DataError: if a val split exists already, or no train split.
        """
        if "val" in splits or "train" not in splits:
            known = ", ".join(splits) or "none"
            raise DataError(
                f"val={self.share:g} needs data with a train split and without a val split, "
                f"but {root} has the splits {known}; remove {self} from --data"
            )
        train = splits["train"]
        held = self.choose([id_of(entry) for entry in train])
        return {
            **splits,
            "train": [entry for entry in train if id_of(entry) not in held],
            "val": [entry for entry in train if id_of(entry) in held],
        }

    def choose(self, ids: Sequence[str]) -> set[str]:
        """Return the ids to hold out: at least one, but never all.

        Raises:
            DataError: if there are fewer than two ids.
        """
        if len(ids) < 2:
            raise DataError(
                f"val={self.share:g} needs at least two training images, but got {len(ids)}"
            )
        number = min(max(1, round(self.share * len(ids))), len(ids) - 1)
        return set(sorted(ids, key=self._rank)[:number])

    def _rank(self, image_id: str) -> bytes:
        return hashlib.blake2b(f"{self.seed}\n{image_id}".encode(), digest_size=16).digest()


def parse_holdout(name: str) -> tuple[str, Holdout | None]:
    """Split ``DIR,val=0.1`` into the folder and the holdout (None for a plain folder).

    Raises:
        DataError: if the fraction or the seed is invalid.
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
            f"--data DIR,val=SHARE takes a share above 0 and below 1 and a seed >= 0, such as "
            f"DIR,val=0.1 or DIR,val=0.1,seed=1, but got {given!r}"
        )
    return found["folder"], Holdout(share=share, seed=seed)
