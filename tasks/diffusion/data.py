"""The data sets of diffusion: ``concepts``, ``clevr:DIR`` and ``folder:DIR``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tasks.contract import DataError, Source, Trial
from tasks.datasets import attribute_folder, concepts
from tasks.datasets.conditions import AttributeImages, Conditions, one_hot

FORMS = (
    "concepts (built in, drawn), folder:DIR (images with attributes, listed in metadata.csv or "
    "metadata.jsonl) or clevr:DIR (the lab's images of eight conditions)"
)
_FOLDER = "folder:"


def is_folder(data: str) -> bool:
    """Return whether the data is ``folder:DIR``, whose conditions depend on its metadata."""
    return data.startswith(_FOLDER)


def resolve(data: str) -> Source:
    """Check the data set, and return it with its fingerprint.

    Raises:
        DataError: if it does not exist or is damaged.
    """
    if is_folder(data) and data != _FOLDER:
        return attribute_folder.resolve(data.removeprefix(_FOLDER))
    return concepts.resolve(data)


@lru_cache(maxsize=8)  # by the fingerprint too, as files can change while the process runs
def open_folder(data: Source) -> attribute_folder.AttributeFolder:
    """Return the entries of ``folder:DIR``."""
    return attribute_folder.read_folder(Path(data.name.removeprefix(_FOLDER)))


def all_codes(data: Source) -> tuple[str, ...]:
    """Return the codes of all conditions, which do not depend on the parameter ``unseen``."""
    return open_folder(data).codes if is_folder(data.name) else concepts.CONDITIONS


def read_conditions(data: Source, unseen: str | None) -> Conditions:
    """Return the conditions of a data set.

    Args:
        data: the data set.
        unseen: the parameter ``unseen`` of a trial.

    Raises:
        DataError: if ``unseen`` does not fit the data.
    """
    if is_folder(data.name):
        return open_folder(data).conditions(unseen)
    if unseen is not None:
        raise DataError(
            f"unseen={unseen} requires --data folder:DIR, because {data.name} has fixed unseen "
            "conditions; remove it"
        )
    return concepts.conditions()


def conditions_of(trial: Trial) -> Conditions:
    """Return the conditions of a trial."""
    return read_conditions(trial.data, trial.params.unseen)


def load_split(data: Source, split: str, codes: Sequence[str]) -> AttributeImages:
    """Return the images of a split: for ``train`` of the seen conditions, for others of all.

    Args:
        data: the data set.
        split: the name of the split.
        codes: these conditions.
    """
    if is_folder(data.name):
        return open_folder(data).load(split, codes)
    return concepts.load_split(data, split)


def to_values(trial: Trial) -> dict[str, Any]:
    """Return what ``from_values`` needs, for ``State.values``; nothing for built-in conditions.

    A trial can be exported without its data, so its state contains the conditions.
    """
    if not is_folder(trial.data.name):
        return {}
    found = conditions_of(trial)
    return {
        "seen": list(found.seen),
        "unseen": list(found.unseen),
        "descriptions": [found.descriptions[code] for code in found.codes],
        "sizes": list(found.sizes),
    }


def from_values(values: Mapping[str, Any]) -> Conditions:
    """Return the conditions of a trial from ``State.values``."""
    if "sizes" not in values:
        return concepts.conditions()
    seen, unseen, sizes = (tuple(values[name]) for name in ("seen", "unseen", "sizes"))
    codes = (*seen, *unseen)
    descriptions = dict(zip(codes, values["descriptions"], strict=True))
    return Conditions(
        seen=seen,
        unseen=unseen,
        names=descriptions,
        descriptions=descriptions,
        encoded={code: one_hot(code, sizes) for code in codes},
        sizes=sizes,
    )
