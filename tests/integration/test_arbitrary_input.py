"""Random input: text after --set, bytes in a part, names and URIs."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy_results import PARAMS, manifest, result

from orchestrator.planning.axes import Axes
from orchestrator.planning.discovery import load_task
from orchestrator.planning.params import make_params
from orchestrator.planning.settings import parse_settings
from results.redaction import redact
from results.storage.filesystem import check_output_folder, open_filesystem
from results.storage.reading import read_sweep
from results.storage.store import SweepStore, check_name, read_part
from tasks.contract import RequestError, StoreError, content_id

TASKS = ("retrieval", "captioning", "diffusion")
NAMES = sorted({f.name for task in TASKS for f in dataclasses.fields(load_task(task).Params)})
LOCAL = pyarrow.fs.LocalFileSystem()
quick = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def check_line(error: Exception, part: str = "") -> None:
    """An error must be one readable line."""
    assert 0 < len(" ".join(str(error).split())) < 500
    assert part in str(error)


# --- parameters -----------------------------------------------------------------------------------

values = st.one_of(
    st.text(max_size=30),
    st.integers().map(str),
    st.floats().map(repr),
    st.sampled_from(["", "none", "true", "NaN", "-inf", "1e999", "1_0", "٣", "\ud800", "\0"]),
)
setting_texts = st.one_of(
    st.text(max_size=40), st.tuples(st.sampled_from(NAMES), values).map("=".join)
)


@quick
@given(task=st.sampled_from(TASKS), setting=st.lists(setting_texts, max_size=3))
def test_any_setting_is_parsed_or_refused(task: str, setting: list[str]) -> None:
    loaded = load_task(task)
    try:
        parsed = parse_settings(loaded, setting)
        if parsed.axes:
            Axes(values=parsed.axes)
            return
        params = make_params(loaded, parsed.fixed)
    except RequestError as error:
        check_line(error)
        return
    assert params == make_params(loaded, dataclasses.asdict(params))
    assert len(content_id(params)) == 16
    pa.array([str(value) for value in parsed.fixed.values()])  # must fit into a table


@quick
@given(task=st.sampled_from(TASKS), data=st.data())
def test_valid_value_round_trips_through_text(task: str, data: st.DataObject) -> None:
    loaded = load_task(task)
    field = data.draw(st.sampled_from(dataclasses.fields(loaded.Params)))
    kinds = {
        bool: st.booleans(),
        int: st.integers(1, 2**62),
        float: st.floats(1e-300, 1e300),
        str: st.text(st.characters(codec="utf-8", exclude_characters="\"'"), max_size=20),
    }
    value = data.draw(kinds.get(type(field.default), st.none()))
    if value is None:
        return  # a default of none has no type
    text = f'"{value}"' if isinstance(value, str) else str(value)
    parsed = parse_settings(loaded, [f"{field.name}={text}"])
    blank = isinstance(value, str) and value.lower() in ("", "none", "null")
    assert parsed.fixed == {field.name: value} or blank


# --- parts ----------------------------------------------------------------------------------------


@cache
def parts() -> dict[str, bytes]:
    """A valid part of each table, by the name of the table."""
    with tempfile.TemporaryDirectory() as folder:
        store = SweepStore(folder, "toy", "s", PARAMS)
        store.add([result(1), result(2, lr=0.2)])
        store.add_stages([{"run": None, "key": "k", "label": "l", "seconds": 1.0, "uses": 2}])
        return {file.parent.name: file.read_bytes() for file in Path(folder).rglob("*.parquet")}


@contextmanager
def sweep_with(table: str, blob: bytes) -> Iterator[tuple[Path, Path]]:
    """A valid sweep of the trial t3 with one more part of these bytes: its root, and the part."""
    with tempfile.TemporaryDirectory() as folder:
        store = SweepStore(folder, "toy", "s", PARAMS)
        store.write_manifest(manifest())
        store.add([result(3, lr=0.3)])
        part = Path(store.path) / table / "0.parquet"
        part.write_bytes(blob)
        yield Path(folder), part


def read_all(root: Path) -> Any:
    """Every table of the sweep, as rows."""
    sweep = read_sweep(str(root), "toy", "s")
    for table in (sweep.trials, sweep.steps, sweep.samples, sweep.stages):
        table.to_pylist()
    assert "t3" in sweep.trials["trial_id"].to_pylist()
    return sweep


def check_reading(table: str, blob: bytes) -> None:
    """A damaged part is named and the rest is read, or there is a StoreError."""
    with sweep_with(table, blob) as (root, part):
        try:
            read = read_part(LOCAL, str(part))
            damaged = read_all(root).damaged
        except StoreError as error:
            check_line(error, "schema")
            return
        assert damaged == ([str(part)] if read is None else [])


tables = st.sampled_from(["trials", "steps", "samples", "stages"])


@settings(quick, max_examples=250)
@given(table=tables, flips=st.lists(st.tuples(st.integers(0), st.integers(1, 255)), max_size=4))
def test_flipped_bytes_are_detected_or_harmless(table: str, flips: list[tuple[int, int]]) -> None:
    blob = bytearray(parts()[table])
    for at, mask in flips:
        blob[at % len(blob)] ^= mask
    check_reading(table, bytes(blob))


@settings(quick, max_examples=60)
@given(table=tables, keep=st.floats(0, 1), more=st.binary(max_size=20))
def test_truncated_part_is_named(table: str, keep: float, more: bytes) -> None:
    blob = parts()[table]
    check_reading(table, blob[: int(keep * (len(blob) - 1))] + more)


columns = st.sampled_from(["trial_id", "status", "seed", "at", "run", "key", "metric.r1", "x"])
cells = st.sampled_from([None, "t1", "finished", 3, 2.5, b"\xff", [1], {"a": 1}])


@settings(quick, max_examples=120)
@given(table=tables, wide=st.dictionaries(columns, cells, max_size=6), ours=st.booleans())
def test_foreign_table_is_ignored(table: str, wide: dict[str, Any], ours: bool) -> None:
    rows = pa.table({name: pa.array([cell]) for name, cell in wide.items()})
    if ours:  # with the metadata of this project
        rows = rows.replace_schema_metadata({"orchestrator.schema": "1"})
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    check_reading(table, sink.getvalue().to_pybytes())


@pytest.mark.parametrize("table", ["trials", "steps", "samples", "stages"])
def test_foreign_parquet_file_is_named(table: str) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"city": ["Ulm"], "people": [126_000]}), sink)
    with sweep_with(table, sink.getvalue().to_pybytes()) as (root, part):
        assert read_all(root).damaged == [str(part)]


# --- names and URIs -------------------------------------------------------------------------------

words = st.text(st.sampled_from("ab1._-/\\~: \0\n%@é"), max_size=12)


@quick
@given(task=words, name=words)
def test_no_name_escapes_the_results_folder(task: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        try:
            store = SweepStore(str(root), task, name, PARAMS)
        except StoreError:
            assert not root.exists()
            return
        assert Path(store.path).resolve() == root / task / name
        assert Path(store.path).resolve().is_relative_to(root)
        assert {path.name for path in Path(folder).iterdir()} == {"runs"}


@quick
@given(name=st.text(max_size=110))
def test_name_is_a_plain_word_or_refused(name: str) -> None:
    try:
        kept = check_name(name)
    except StoreError as error:
        check_line(error)
        return
    assert kept == name
    assert Path("/runs") / kept == Path(f"/runs/{kept}").resolve()


uris = st.tuples(st.sampled_from(["", "file://", "file:///", "s3", "x://", "//", "mock://"]), words)


@quick
@given(uri=uris.map("".join))
def test_any_uri_is_opened_or_refused(uri: str) -> None:
    try:
        check_output_folder("--out", uri)
        filesystem, path = open_filesystem(uri)
    except StoreError as error:
        check_line(error)
        return
    assert path
    if isinstance(filesystem, pyarrow.fs.LocalFileSystem):
        assert Path(path).is_absolute()


secret = st.text(st.sampled_from("AKIAabc019+/=%"), min_size=8, max_size=20)


@quick
@given(key=secret, word=secret, scheme=st.sampled_from(["s3", "gs", "abfs", "ray", "https"]))
def test_credentials_of_a_uri_are_redacted(key: str, word: str, scheme: str) -> None:
    for text in (
        f"{scheme}://{key}:{word}@bucket/runs",
        f"--out={scheme}://{word}@bucket/runs",
        f"{scheme}://bucket/runs?region=eu&secret_key={word}",
        f"{scheme}://h:1?token={word}&x=1 cannot be opened",
        f"'{scheme}://{key}:{word}@bucket'",
    ):
        assert word not in redact(text)
        assert scheme in redact(text)
    assert redact("sweep retrieval --set prompt=a@b --data folder:/x@y --out s3://bucket/a") == (
        "sweep retrieval --set prompt=a@b --data folder:/x@y --out s3://bucket/a"
    )
