"""A trial gives the same numbers on either engine, with any workers, order and pack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from captioned_folder import draw_folder
from harness import run_process, small_cluster

from results.storage.reading import Sweep, read_sweep

#: task -> (rows of a grid, settings that keep its trials small)
TASKS: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "retrieval": (
        [{"lr": lr, "temperature": t} for lr in (1e-2, 1e-3) for t in (0.1, 0.7)],
        ["epochs=2", "batch_size=8", "precision=float32"],
    ),
    "captioning": (
        [
            {"decoding": "greedy", "top_k": None, "temperature": None},
            {"decoding": "sample", "top_k": 5, "temperature": 0.7},
        ],
        ["num_images=16"],
    ),
    "diffusion": (
        [{"sampler": "ddim"}, {"sampler": "ancestral"}, {"sampler": "ddim", "lr": 2e-3}],
        [
            *("features=8", "epochs=2", "draws=256", "num_steps=16"),
            *("sampling_steps=4", "num_samples=4", "precision=float32"),
        ],
    ),
}
#: With equal numbers of threads per worker, sums have the same order. (With other numbers the last
#: bits differ, training amplifies this, and a borderline picture may count differently.)
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with small_cluster() as address:
        yield address


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, dict[str, float]]]:
    data = draw_folder(tmp_path_factory.mktemp("photos"), train=32, val=24)
    stages = tmp_path_factory.mktemp("stages")

    def run(task: str, rows: list[dict[str, Any]] | None, *args: str) -> dict[str, Any]:
        """Metrics by trial of a sweep over these rows, or over the space in the arguments.

        Sweeps share the values of stages, whose own repetition ``test_task_contract`` checks.
        """
        folder = tmp_path_factory.mktemp("run")
        command = ["sweep", task, "--name=s"]
        command += [f"--out={folder / 'out'}", *args]
        command += [f"--set={setting}" for setting in TASKS[task][1]]
        if rows is not None:
            grid = [{name: [value] for name, value in row.items()} for row in rows]
            (folder / "space.py").write_text(f"GRID = {grid!r}\n")
            command += [f"--space={folder / 'space.py'}"]
        command += [f"--cache={stages}"]
        if task != "diffusion":
            command += [f"--data=folder:{data}"]
        done = run_process(*command)  # with one thread, as set by conftest.py
        assert done.returncode == 0, done.stdout + done.stderr
        whole = read_sweep(str(folder / "out"), task, "s")
        assert_seconds_are_shares(whole, num_workers=2)
        found = whole.rows()
        return {row["trial_id"]: row for row in found if row["status"] == "finished"}

    return run


def assert_seconds_are_shares(sweep: Sweep, num_workers: int) -> None:
    """The time of a pack is divided among its members: no second of a worker counts twice."""
    seconds = {row["trial_id"]: 0.0 for row in sweep.rows()}
    for step in sweep.steps.to_pylist():
        seconds[step["trial_id"]] += step["seconds"]
    for row in sweep.rows():
        assert row["seconds"] == pytest.approx(seconds[row["trial_id"]])
    assert 0 < sum(seconds.values()) <= num_workers * sweep.manifest.seconds


def numbers(row: dict[str, Any]) -> dict[str, float]:
    """Return the metrics of a row; those that were not measured are None and left out."""
    found = {key: row[key] for key in row if key.startswith(("metric.", "best."))}
    return {key: value for key, value in found.items() if value is not None}


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    for trial_id, row in theirs.items():
        measured = numbers(ours[trial_id])
        assert measured == pytest.approx(numbers(row), rel=TOLERANCE, nan_ok=True)


@pytest.fixture(scope="module", params=TASKS)
def once(request: pytest.FixtureRequest, sweep: Any) -> tuple[str, dict[str, Any]]:
    rows, _ = TASKS[request.param]
    found = sweep(request.param, rows, "--engine=local")
    assert len(found) == len(rows)
    return request.param, found


def test_repeated_in_reverse_order_gives_the_same_numbers(
    once: tuple[str, dict[str, Any]], sweep: Any
) -> None:
    task, first = once
    again = sweep(task, TASKS[task][0][::-1], "--engine=local")
    assert {i: numbers(row) for i, row in again.items()} == {
        i: numbers(row) for i, row in first.items()
    }


def test_pack_members_have_equal_times(once: tuple[str, dict[str, Any]]) -> None:
    _, found = once  # the local engine runs all trials that may share a pack in one
    assert len({row["seconds"] for row in found.values()}) < len(found)


def test_two_workers_of_a_cluster_give_the_same_numbers(
    once: tuple[str, dict[str, Any]], sweep: Any, cluster: str
) -> None:
    task, first = once
    half = ("--cpus-per-trial=1", "--gpus-per-trial=0.5")  # of the cluster's one GPU
    rows = TASKS[task][0][::-1]
    ours = sweep(task, rows, "--address", cluster, *half)
    assert_same(ours, first)


@pytest.mark.parametrize("task", TASKS)
def test_configurations_of_a_search_give_the_same_numbers_alone(task: str, sweep: Any) -> None:
    picked = sweep(task, None, "--engine=local", "--space=search", "--trials=3")
    assert picked
    fixed = {setting.partition("=")[0] for setting in TASKS[task][1]}
    rows = [
        {
            name.removeprefix("param."): value
            for name, value in row.items()
            if name.startswith("param.") and name.removeprefix("param.") not in fixed
        }
        for row in picked.values()
    ]
    alone = sweep(task, rows, "--engine=local")
    assert_same({i: alone[i] for i in picked}, picked)
