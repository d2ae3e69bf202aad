"""Checks the split that ``--final`` names."""

from __future__ import annotations

from collections.abc import Collection

from tasks.contract import DataError


def check_final_split(data: str, split: str, known: Collection[str], *, chosen_on: str) -> None:
    """Raise an error if ``--final`` cannot use a split.

    Args:
        data: the name of the data set.
        split: the split.
        known: the splits of the data set.
        chosen_on: the split that chooses the best row.

    Raises:
        DataError: if the data has no such split, or the sweep has used it already.
    """
    if split not in known:
        raise DataError(
            f"--final {split}: {data} has only the splits {', '.join(known)}; add {split}, or "
            "remove --final"
        )
    if split in ("train", chosen_on):
        why = "trials train on it" if split == "train" else "it already chooses the best row"
        raise DataError(f"--final {split} needs a split that is not used yet, but {why}")
