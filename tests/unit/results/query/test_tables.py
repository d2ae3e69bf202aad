"""One table over several sweeps: columns by name, with their types."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from results.query.tables import TABLES, nest, union_by_name
from results.storage.schema import FIXED


class Stored:
    """A sweep with given tables, all of whose trials are current."""

    def __init__(self, **tables: pa.Table) -> None:
        for name in TABLES:
            setattr(self, name, tables.get(name, pa.table({})))

    def current(self, table: pa.Table) -> pa.Table:
        return table


def union(name: str, *columns: dict[str, Any]) -> pa.Table:
    sweeps: Any = [Stored(**{name: pa.table(each)}) for each in columns]
    return union_by_name(name, sweeps)


@pytest.mark.parametrize("name", TABLES)
def test_table_without_rows_has_the_columns_of_the_schema(name: str) -> None:
    rows = union_by_name(name, [])
    assert rows.num_rows == 0
    assert dict(zip(rows.column_names, rows.schema.types, strict=True)) == FIXED[name]


def test_column_that_a_sweep_lacks_is_null() -> None:
    rows = union("trials", {"param.a": [1], "seed": [0]}, {"param.b": [0.5], "seed": [1]})
    assert rows["param.a"].to_pylist() == [1, None]
    assert rows["param.b"].to_pylist() == [None, 0.5]
    assert rows.schema.field("param.a").type == pa.int64()


def test_integers_and_floats_are_floats() -> None:
    rows = union("trials", {"param.a": [1]}, {"param.a": [0.5]})
    assert rows["param.a"].to_pylist() == [1.0, 0.5]


def test_types_without_a_common_one_are_text() -> None:
    rows = union("samples", {"x": ["cat"]}, {"x": [["a", "b"], None]}, {"x": [2, 3]})
    assert rows["x"].to_pylist() == ["cat", '["a", "b"]', None, "2", "3"]


def test_parameters_and_metrics_become_structs() -> None:
    rows = union("trials", {"param.lr": [0.1], "metric.r1": [0.5], "best.r1": [0.6], "seed": [3]})
    nested = nest("trials", rows)
    (row,) = nested.select(["param", "metric", "best", "seed"]).to_pylist()
    assert row == {"param": {"lr": 0.1}, "metric": {"r1": 0.5}, "best": {"r1": 0.6}, "seed": 3}


def test_names_that_differ_in_case_get_a_number() -> None:
    rows = union("trials", {"param.lr": [1], "param.LR": [2], "param.Lr": [3]})
    (row,) = nest("trials", rows)["param"].to_pylist()
    assert row == {"lr": 1, "LR_1": 2, "Lr_2": 3}


def test_sample_column_with_a_dot_stays_a_column() -> None:
    assert "box.x" in nest("samples", union("samples", {"box.x": [1]})).column_names
