"""Results: a damaged or newer ``sweep.json``, newer parts, foreign folders, wrong names."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from toy_results import PARAMS, manifest, result

from bad_input import Case
from results.storage.store import SweepStore

MORE = {"seconds": 1.0, "model": "m", "data": "d"}
Break = Callable[[Path], object]


def sweep(tmp: Path) -> Path:
    """A valid sweep ``toy/s`` of two trials, t1 and t2."""
    store = SweepStore(str(tmp / "runs"), "toy", "s", PARAMS)
    for one in (result(1), result(2, lr=0.2)):
        steps = [{**step, "seconds": 1.0} for step in one.steps]
        store.add([dataclasses.replace(one, trial={**one.trial, **MORE}, steps=steps)])
    store.write_manifest(manifest(seconds=1.0))
    return tmp / "runs" / "toy" / "s"


def broken(args: str, damage: Break, message: str) -> Case:
    """A command on a valid sweep after ``damage``."""
    return Case(args=args, message=message, prepare=lambda tmp: damage(sweep(tmp)))


def manifest_text(text: str | bytes) -> Break:
    """Replace ``sweep.json``."""
    blob = text.encode() if isinstance(text, str) else text
    return lambda folder: (folder / "sweep.json").write_bytes(blob)


def without(key: str) -> Break:
    """Remove a key of ``sweep.json``."""

    def damage(folder: Path) -> None:
        read = json.loads((folder / "sweep.json").read_text())
        del read[key]
        manifest_text(json.dumps(read))(folder)

    return damage


def changed(**values: Any) -> Break:
    """Change keys of ``sweep.json``."""

    def damage(folder: Path) -> None:
        manifest_text(json.dumps(json.loads((folder / "sweep.json").read_text()) | values))(folder)

    return damage


def newer(table: str) -> Break:
    """Add a part with a newer schema."""

    def damage(folder: Path) -> None:
        rows = pa.table({"trial_id": ["t9"]}).replace_schema_metadata({"orchestrator.schema": "9"})
        pq.write_table(rows, folder / table / "9.parquet")

    return damage


def nothing(folder: Path) -> None:
    """Leave the sweep valid."""


PAIRED: dict[str, Any] = {
    "metric": "error",
    "unit": "point",
    "value": "x",
    "where": {},
    "at_most": None,
}
CASES = [
    broken(
        "show s t1 --graphics ascii",
        lambda folder: None,
        "--graphics takes auto, kitty, sixel, blocks, none, but got 'ascii'",
    ),
    # sweep.json.
    broken("report", manifest_text(""), "sweep.json is damaged (Expecting value"),
    broken("report", manifest_text("{"), "run the sweep again, or move its folder away"),
    broken("report", manifest_text(b"\xff\xfe\x00"), "sweep.json is damaged ("),
    broken("report", manifest_text("[" * 100_000), "sweep.json is damaged (maximum recursion"),
    broken("show s", manifest_text("[]"), "sweep.json is damaged (it is not a JSON object)"),
    broken("show s", manifest_text("{}"), "sweep.json is damaged (its 'task' is missing)"),
    broken("report", changed(schema=9), "sweep.json has schema 9, this version reads up to 3"),
    broken(
        "report",
        changed(schema="new"),
        "sweep.json is damaged (its 'schema' must be an integer, but is 'new')",
    ),
    *(
        broken("report", without(key), f"sweep.json is damaged (its '{key}' is missing); run the")
        for key in ("name", "columns", "metric", "paired", "tables", "seeds", "model", "data")
    ),
    *(
        broken("show s", without(key), f"sweep.json is damaged (its '{key}' is missing); run the")
        for key in ("command", "started", "seconds", "engine", "versions", "hardware", "params")
    ),
    broken("report", changed(columns={}), "(its 'columns' must be a list, but is {})"),
    broken("report", changed(columns=[3]), "(its 'columns[0]' must be an object, but is 3)"),
    broken("report", changed(columns=[]), "(none of its 'columns' is the metric 'r1')"),
    broken("report", changed(metric={}), "(its 'metric.name' is missing)"),
    broken("report", changed(paired=[{}]), "(its 'paired[0].metric' is missing)"),
    broken(
        "report",
        changed(paired=[PAIRED | {"aggregate": "__import__('os').system('true')"}]),
        "is not valid (__import__('os').system('true') is not allowed); write 'mean', or",
    ),
    broken(
        "report",
        changed(paired=[PAIRED | {"aggregate": 3}]),
        "(its 'paired[0].aggregate' must be a string, but is 3)",
    ),
    broken("report", changed(tables=[3]), "(its 'tables[0]' must be an object, but is 3)"),
    broken("report", changed(model={}), "(its 'model.name' is missing)"),
    broken("show s", changed(seconds="long"), "(its 'seconds' must be a number, but is 'long')"),
    broken("report --format csv", manifest_text("{"), "sweep.json is damaged"),
    broken("show s t1", manifest_text("nonsense"), "sweep.json is damaged"),
    # check.
    broken("check s", nothing, "the sweep 's' has no claims; add CLAIMS to the file of its"),
    broken("check t", nothing, "no sweep named 't' under TMP/runs; available: toy/s"),
    broken("check s --tolerance 2", nothing, "--tolerance must be at least 0 and below 1"),
    broken("check s --strict --against s", nothing, "--strict applies to claims, not to --against"),
    broken("check s --against t", nothing, "no sweep named 't' under TMP/runs; available: toy/s"),
    broken("check s --format yaml", nothing, "--format takes terminal, markdown"),
    broken("check s", changed(claims=[{}]), "damaged (its 'claims[0].text' is missing)"),
    broken("check s --against TMP/no.zip", nothing, "no such file: TMP/no.zip; give an archive"),
    # archive and replay.
    broken("replay TMP/no.zip", nothing, "no such file: TMP/no.zip; give an archive, as `archive"),
    broken("replay toy/s --engine local", nothing, "no such file: toy/s; give an archive"),
    broken(
        "replay TMP/runs/toy/s/sweep.json", nothing, "is not an archive of a sweep, or is truncated"
    ),
    broken("replay TMP/no.zip --tolerance 1", nothing, "--tolerance must be at least 0 and below"),
    broken(
        "archive s TMP/no/s.zip --out TMP/runs",
        nothing,
        "TMP/no/s.zip cannot be written: no such folder: TMP/no; create it",
    ),
    broken("archive t TMP/t.zip --out TMP/runs", nothing, "no sweep named 't' under TMP/runs"),
    broken("archive s TMP --out TMP/runs", nothing, "TMP cannot be written: it is a folder"),
    broken("archive s TMP/s.zip --out TMP/runs", manifest_text("{"), "sweep.json is damaged"),
    # Parts, and folders that are not sweeps.
    *(
        broken(
            "report", newer(table), f"{table}/9.parquet has schema 9, this version reads up to 3"
        )
        for table in ("trials", "samples")
    ),
    broken("show s t1", newer("steps"), "update the project"),
    broken("report other", nothing, "no sweep named 'other' under TMP/runs; available: toy/s"),
    broken("report ../toy/s", nothing, "no sweeps under ..; run `python -m orchestrator sweep toy"),
    broken("report --task tou", nothing, "no sweeps of tou under TMP/runs; did you mean 'toy'?"),
    broken("show toy", nothing, "no sweep named 'toy' under TMP/runs; that is a task; its sweeps"),
    broken("show toys/s", nothing, "no sweeps of toys under TMP/runs; did you mean 'toy'?"),
    broken("show toy/ss", nothing, "no sweep named 'ss' under TMP/runs; did you mean toy/s?"),
    broken(
        "show toy/s --task a", nothing, "'toy/s' is a sweep of toy, but --task is a; remove --task"
    ),
    *(
        Case(
            args=f"{verb} s{more}",
            prepare=lambda tmp: shutil.copytree(sweep(tmp), tmp / "runs" / "a" / "s"),
            message="2 sweeps under TMP/runs are named 's'; give the full name: a/s or toy/s",
        )
        for verb, more in (("report", ""), ("show", ""), ("show", " t1"), ("check", ""))
    ),
    Case(
        args="show x",
        prepare=lambda tmp: [
            shutil.copytree(sweep(tmp), tmp / "runs" / "toy" / f"s{i}") for i in range(9)
        ],
        message="; `python -m orchestrator list --out TMP/runs` lists all 10",
    ),
    broken("report --task ../toy", nothing, "no sweeps of ../toy under TMP/runs"),
    Case(
        args="report",
        prepare=lambda tmp: (tmp / "runs" / "a" / "b" / "sweep.json").mkdir(parents=True),
        message="no sweeps under TMP/runs; run `python -m orchestrator sweep TASK --out TMP/runs`",
    ),
    Case(
        args="report",
        prepare=lambda tmp: [
            (tmp / "runs" / "my data" / "x").mkdir(parents=True),
            (tmp / "runs" / "my data" / "x" / "sweep.json").write_text("{}"),
        ],
        message="no sweeps under TMP/runs",
    ),
    # Names of trials, and where pictures go.
    broken(
        "show s zz",
        nothing,
        "no trial 'zz'; `python -m orchestrator show s --out TMP/runs` lists",
    ),
    broken(
        "show s t", nothing, "several trial ids of s start with 't': t1, t2; add more characters"
    ),
    broken("show s --save TMP/c.pdf", nothing, "--save takes FILE.png or FILE.svg, but got"),
    broken("show s --save TMP/c.png", nothing, "no trial of s has two steps to draw a curve of"),
    broken("show s t1 --save TMP/c.png", nothing, "trial t1 has fewer than two steps"),
    broken("show s --pictures TMP/p.png", nothing, "--pictures requires a trial: show NAME TRIAL"),
    broken("show s t1 --pictures TMP/p.gif", nothing, "--pictures takes FILE.png, but got"),
    broken("show s t1 --pictures TMP/p.png", nothing, "samples of trial t1 contain no pictures"),
    # Earlier results that a sweep would continue from.
    Case(
        args="sweep diffusion",
        prepare=lambda tmp: _as_diffusion(tmp, newer("trials")),
        message="trials/9.parquet has schema 9",
    ),
]


def _as_diffusion(tmp: Path, damage: Break) -> None:
    folder = sweep(tmp)
    (tmp / "runs" / "toy").rename(tmp / "runs" / "diffusion")
    damage(tmp / "runs" / "diffusion" / folder.name)
