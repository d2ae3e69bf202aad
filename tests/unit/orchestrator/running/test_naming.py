"""A sweep's name belongs to one space, settings, model and data; published numbers to its rows."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import toy_results
from harness import run_command

from orchestrator.request import Request
from orchestrator.running.manifest import plan_tables
from orchestrator.running.naming import MAX_LENGTH, Identity, choose_name, default_name
from orchestrator.running.plan import make_plan
from results.claims.verdicts import check_claims
from results.storage.manifest import Manifest
from results.storage.reading import read_sweep
from results.storage.store import SweepStore
from results.tables.summary import summarise
from tasks.contract import RequestError, Source

DEFAULTS = {"model": "default", "data": "scenes", "sampler": "tpe", "pruner": "halving"}
PLAIN = Identity(
    space="paper",
    file=None,
    file_hash=None,
    settings={},
    search={},
    model=Source(name="default", fingerprint="m"),
    data=Source(name="scenes", fingerprint="d"),
)


def changed(**values: Any) -> Identity:
    return dataclasses.replace(PLAIN, **values)


def manifest(identity: Identity, **changes: Any) -> Manifest:
    made = toy_results.manifest(**changes)
    return dataclasses.replace(
        made, request=identity.record(), model=identity.model, data=identity.data
    )


OTHER_MODEL = changed(model=Source(name="/b/clip", fingerprint="other"))
OTHERS = {
    "space": changed(space="grid"),
    "setting": changed(settings={"epochs": 2}),
    "setting's value": changed(settings={"epochs": 3}),
    "model": OTHER_MODEL,
    "pair": changed(model=Source(name="/a/vit+/b/bert", fingerprint="pair")),
    "other pair": changed(model=Source(name="/a/clip+/b/bert", fingerprint="pair 2")),
    "data": changed(data=Source(name="folder:/photos", fingerprint="photos")),
    "sampler": changed(space="search", search={"sampler": "random", "pruner": "halving"}),
    "pruner": changed(space="search", search={"sampler": "tpe", "pruner": "median"}),
    "search": changed(space="search", search={"sampler": "tpe", "pruner": "halving"}),
    "file": changed(space="mine", file="/a/mine.py", file_hash="1"),
}


def test_every_other_request_has_a_name_of_its_own() -> None:
    names = [default_name(one, DEFAULTS) for one in (PLAIN, *OTHERS.values())]
    assert len(set(names)) == len(names)
    assert names[0] == "paper"
    assert default_name(OTHERS["setting"], DEFAULTS) == "paper-epochs-2"
    assert default_name(OTHERS["other pair"], DEFAULTS) == "paper-clip-bert"


@pytest.mark.parametrize("name", OTHERS)
def test_every_difference_is_found_and_an_equal_request_has_none(name: str) -> None:
    other = OTHERS[name]
    assert other.differences(manifest(other)) == []
    assert PLAIN.differences(manifest(other))
    assert other.differences(manifest(PLAIN))


def test_the_order_of_settings_does_not_matter() -> None:
    one, other = (
        changed(settings={"a": 1, "b": None}),
        changed(settings={"b": None, "a": 1}),
    )
    assert default_name(one, DEFAULTS) == default_name(other, DEFAULTS) == "paper-a-1-b-none"
    assert one.differences(manifest(other)) == []


def test_a_long_name_is_cut_and_stays_unique() -> None:
    one, other = (
        changed(settings={"prompt": "a picture of " * 20, "seed": seed}) for seed in (1, 2)
    )
    names = [default_name(each, DEFAULTS) for each in (one, other)]
    assert len(set(names)) == 2
    assert all(len(name) <= MAX_LENGTH + 7 for name in names)


def test_a_space_file_may_move_but_not_change_and_move() -> None:
    here = OTHERS["file"]
    moved = dataclasses.replace(here, file="/b/mine.py")
    edited = dataclasses.replace(here, file_hash="2")
    assert moved.differences(manifest(here)) == []
    assert edited.differences(manifest(here)) == []
    assert dataclasses.replace(moved, file_hash="2").differences(manifest(here)) == [
        "with /a/mine.py, not /b/mine.py"
    ]
    built_in = dataclasses.replace(here, file=None, file_hash=None)
    assert built_in.differences(manifest(here)) == ["with /a/mine.py, not the task's own space"]


def test_an_older_sweep_is_continued_as_far_as_it_says_what_it_is() -> None:
    old = dataclasses.replace(manifest(PLAIN), space="report", request=None)
    assert PLAIN.differences(old) == []
    assert OTHERS["setting"].differences(old) == []
    assert OTHERS["data"].differences(old) == ["with the data scenes, not folder:/photos"]


def test_two_models_of_one_last_name_do_not_collide(tmp_path: Path) -> None:
    first = changed(model=Source(name="/a/clip", fingerprint="first"))
    store = SweepStore(str(tmp_path), "toy", "paper-clip", {})
    store.write_manifest(manifest(first, name="paper-clip"))
    place: dict[str, Any] = {"defaults": DEFAULTS, "out": str(tmp_path), "task": "toy"}
    assert choose_name(first, given=None, **place).name == "paper-clip"
    chosen = choose_name(OTHER_MODEL, given=None, **place)
    assert chosen.name.startswith("paper-clip-")
    assert "toy/paper-clip was started with the model /a/clip, not /b/clip" in chosen.notice
    assert choose_name(OTHER_MODEL, given=None, **place).name == chosen.name
    with pytest.raises(RequestError, match="with the model /a/clip, not /b/clip; give another"):
        choose_name(OTHER_MODEL, given="paper-clip", **place)


# --- real sweeps ----------------------------------------------------------------------------------


def sweep(folder: Path, *args: str, status: int = 0) -> str:
    done = run_command("sweep", "toy", "--engine", "local", *args, cwd=folder)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_changed_setting_leaves_the_first_table_as_it_is(tmp_path: Path) -> None:
    sweep(tmp_path)
    before = read_sweep(str(tmp_path / "runs"), "toy", "paper")
    out = sweep(tmp_path, "--set", "epochs=2")
    assert "The results go to toy/paper-epochs-2." in out
    assert sorted(path.name for path in (tmp_path / "runs" / "toy").iterdir()) == [
        "paper",
        "paper-epochs-2",
    ]
    after = read_sweep(str(tmp_path / "runs"), "toy", "paper")
    assert after.manifest == before.manifest
    assert after.rows() == before.rows()

    out = sweep(tmp_path, "--set", "epochs=2", "--name", "paper", status=2)
    assert "the sweep 'paper' was started without --set epochs; give another --name" in out
    assert "done already" in sweep(tmp_path, "--set", "epochs=2")

    sweep(tmp_path, "--seeds", "2")  # the same request, and more of it
    assert read_sweep(str(tmp_path / "runs"), "toy", "paper").manifest.seeds == (0, 1)
    assert "done already" in sweep(tmp_path)
    assert read_sweep(str(tmp_path / "runs"), "toy", "paper").manifest.seeds == (0, 1)


def test_trials_of_an_earlier_task_version_are_not_mixed_in(tmp_path: Path) -> None:
    sweep(tmp_path)
    store = SweepStore(str(tmp_path / "runs"), "toy", "paper", {})
    found = read_sweep(str(tmp_path / "runs"), "toy", "paper")
    rows = found.trials.to_pylist()
    store.write_manifest(dataclasses.replace(found.manifest, version="0"))
    assert not any(r.num_seeds for t in summarise(_read(tmp_path)) for r in t.rows)
    store.write_manifest(found.manifest)
    assert sum(r.num_seeds for t in summarise(_read(tmp_path)) for r in t.rows) == len(rows)


def _read(folder: Path) -> Any:
    return read_sweep(str(folder / "runs"), "toy", "paper")


# --- published numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "settings", "kept", "num_changed"),
    [
        ("retrieval", [], 8, 0),
        ("retrieval", ["temperature=0.1"], 7, 1),  # one row has 0.7
        ("retrieval", ["epochs=2"], 0, 9),
        ("retrieval", ["precision=float32"], 8, 0),  # no row says what it is
        ("captioning", ["temperature=0.7"], 8, 2),  # it has no effect on the greedy row
        ("captioning", ["num_references=none"], 0, 10),
        ("diffusion", ["features=64"], 1, 0),
        ("diffusion", ["beta_1=0.001"], 0, 1),
    ],
)
def test_a_number_is_beside_its_own_configuration_alone(
    task: str, settings: list[str], kept: int, num_changed: int, tmp_path: Path
) -> None:
    request = Request(task=task, settings=settings, engine="local", out=str(tmp_path))
    tables = plan_tables(make_plan(request))
    rows = [row for table in tables for row in table.rows]
    assert sum(bool(row.report) for row in rows) == kept
    notes = " ".join(table.note for table in tables)
    assert ("No published numbers beside" in notes) == bool(num_changed)
    if num_changed == len(rows):
        assert not any(row.label for row in rows)


def test_a_claim_about_a_replaced_value_is_not_tested(tmp_path: Path) -> None:
    sweep(tmp_path, "--set", "degree=3")
    claims = check_claims(read_sweep(str(tmp_path / "runs"), "toy", "paper-degree-3"))
    assert {claim.reason for claim in claims} == {"--set degree replaces what the claim is about"}
    sweep(tmp_path, "--set", "epochs=25")  # another protocol, the same comparison
    claims = check_claims(read_sweep(str(tmp_path / "runs"), "toy", "paper-epochs-25"))
    assert all(claim.verdict != "not tested" for claim in claims)


def test_published_numbers_can_be_hidden_and_are_explained_once(tmp_path: Path) -> None:
    sweep(tmp_path)
    found = _read(tmp_path)
    assert any(row.reported for table in summarise(found) for row in table.rows)
    hidden = summarise(found, published=False)
    assert not any(table.has_report or row.reported for table in hidden for row in table.rows)
    for args, shown in ((["report"], True), (["report", "--hide-published"], False)):
        done = run_command(*args, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert ("published" in done.stdout) == shown
