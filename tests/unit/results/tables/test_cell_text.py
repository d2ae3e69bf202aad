"""The text of cells."""

from __future__ import annotations

from results.tables.cell_text import (
    id_digits,
    short_ids,
)


def test_short_ids_are_long_enough_to_be_unique() -> None:
    assert id_digits([]) == 8
    assert id_digits(["12345678aa", "22345678aa"]) == 8
    assert id_digits(["12345678aa", "12345678ab"]) == 10
    assert short_ids(["12345678aa", "22345678bb", "3"], 8) == "12345678 +2"
