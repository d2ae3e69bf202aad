"""Stages and packs on a real Ray cluster whose processes and nodes are killed.

The task of ``tests/plugin`` leaves a note of everything that it computes.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from harness import Run, engine_args
from paths import PYTHONPATH

from results.storage.reading import read_sweep
from tasks.contract import StoreError

MANY = "GRID = {'level': list(range(12))}\n"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int, int], float]:
    run = Run(tmp_path_factory.mktemp("local"), "--engine", "local", "--set=steps=8")
    run.end()
    counted = Counter(what for what, _ in run.find("stage"))
    assert counted == {"0": 1, "1": 1}
    return run.totals()


def test_worker_killed_during_a_stage(
    tmp_path: Path, cluster: str, undisturbed: dict[tuple[int, int, int], float]
) -> None:
    run = Run(
        tmp_path,
        "--address",
        cluster,
        "--gpus-per-trial=0.5",
        "--set=steps=8",
        "--set=stage_seconds=1",
    )
    run.wait_for(lambda: bool(run.find("stage")))
    what, pid = run.find("stage")[0]
    os.kill(pid, signal.SIGKILL)
    run.end()
    assert run.totals().keys() == undisturbed.keys()
    counted = Counter(name for name, _ in run.find("stage"))
    assert counted[what] == 2  # computed again after the loss
    assert sorted(counted.values()) == [1, 2]


def test_worker_killed_between_steps_resumes_from_checkpoints(
    tmp_path: Path, cluster: str, undisturbed: dict[tuple[int, int, int], float]
) -> None:
    run = Run(
        tmp_path, "--address", cluster, "--gpus-per-trial=0.5", "--set=steps=8", "--set=seconds=0.2"
    )
    run.wait_for(lambda: len(run.find("step")) >= 30)
    os.kill(run.find("step")[-1][1], signal.SIGKILL)
    run.end()
    assert run.totals() == undisturbed
    counted = Counter(what for what, _ in run.find("step"))
    assert len(counted) == 12 * 8
    again = sum(number - 1 for number in counted.values())
    assert again <= 6  # at most the running step of each member of the pack
    assert set(Counter(what for what, _ in run.find("stage")).values()) == {1}


def test_failed_trials_are_rows_and_the_others_continue(tmp_path: Path, cluster: str) -> None:
    reasons = {
        "raise": "ValueError: broken on purpose",
        "nan": "total is nan at step 1",
        "memory": "Unable to allocate",
    }
    space = f"GRID = {{'level': [0, 1, 2], 'fail': {[*reasons]}}}\n"
    output = Run(tmp_path, "--address", cluster, space=space).end(status=1)
    rows = read_sweep(str(tmp_path / "out"), "fragile", "s").rows()
    assert len(rows) == 9
    for row in rows:
        if row["param.level"] != 1:
            assert row["status"] == "finished"
        else:
            assert row["status"] == "failed"
            assert reasons[row["param.fail"]] in row["reason"]
            assert reasons[row["param.fail"]] in output


@pytest.mark.parametrize("engine", ["ray", "local"])
def test_failed_stage_fails_only_trials_that_need_it(
    tmp_path: Path, cluster: str, engine: str
) -> None:
    where = engine_args(engine, cluster)
    run = Run(tmp_path, *where, "--set=fail=stage")
    assert "this stage is broken on purpose" in run.end(status=1)
    assert {stage for _, stage, _ in run.totals()} == {0}
    assert len(run.totals()) == 6


def test_trial_that_is_not_finite_leaves_no_checkpoint(tmp_path: Path, cluster: str) -> None:
    slow = ("--set=seconds=0.1", "--set=steps=6", "--set=stage=0")
    run = Run(tmp_path, "--address", cluster, "--set=fail=nan", *slow)
    run.end(status=1)
    assert not list((Path(run.out) / ".checkpoints").glob("*.safetensors"))


def test_unwritable_results_are_one_error_line(tmp_path: Path, cluster: str) -> None:
    run = Run(tmp_path, "--address", cluster, "--set=seconds=0.2", "--set=steps=8")
    run.wait_for(lambda: bool(run.find("step")))
    folder = Path(run.out) / "fragile" / "s" / "steps"
    folder.rmdir()
    folder.write_text("a file in place of the folder")
    output = run.process.communicate(timeout=120)
    assert run.process.returncode == 2, output
    assert "cannot write" in output[1]
    assert "Traceback" not in output[0] + output[1]


def test_worker_starts_while_its_stage_uses_the_only_gpu(
    tmp_path: Path, cluster: str, undisturbed: dict[tuple[int, int, int], float]
) -> None:
    args = ("--set=steps=8", "--set=on_device=true", "--set=stage_seconds=15")
    run = Run(tmp_path, "--address", cluster, *args)
    run.wait_for(lambda: bool(run.find("stage")))
    run.wait_for(lambda: bool(children_of(cluster, "ray::ResourceTrainable")))
    assert not run.find("stage-done")
    run.end()
    assert run.totals().keys() == undisturbed.keys()


def test_search_computes_new_stages_while_workers_wait(tmp_path: Path, cluster: str) -> None:
    args = ("--space", "search", "--trials", "12", "--sampler", "random", "--set=on_device=true")
    run = Run(tmp_path, "--address", cluster, *args)
    run.end()
    rows = read_sweep(run.out, "fragile", "s").rows()
    assert Counter(row["status"] for row in rows).keys() <= {"finished", "stopped"}
    assert len(rows) == 12
    counted = Counter(what for what, _ in run.find("stage"))
    assert len(counted) > 2
    assert set(counted.values()) == {1}
    more = Run(tmp_path, "--address", cluster, *args, "--trials=14")  # the last option counts
    more.end()
    assert len(read_sweep(run.out, "fragile", "s").rows()) == 14


def test_killed_mailbox_is_replaced(
    tmp_path: Path, cluster: str, undisturbed: dict[tuple[int, int, int], float]
) -> None:
    run = Run(
        tmp_path, "--address", cluster, "--gpus-per-trial=0.5", "--set=steps=8", "--set=seconds=0.5"
    )
    run.wait_for(lambda: len(run.find("step")) >= 10)
    (mailbox,) = children_of(cluster, "ray::Mailbox")
    os.kill(mailbox, signal.SIGKILL)
    run.end()
    assert run.totals() == undisturbed


def children_of(cluster: str, name: str) -> list[int]:
    """The processes with this name in the Ray cluster at this address."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            raylet = Path("/proc", parent, "cmdline").read_text()
            if command.startswith(name) and cluster in raylet:
                found.append(int(process.name))
    return found


def test_lost_node_costs_no_result(
    tmp_path: Path, undisturbed: dict[tuple[int, int, int], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [made.add_node(num_cpus=1) for _ in range(2)]
        run = Run(tmp_path, "--address", made.address, "--set=steps=8", "--set=seconds=0.3")
        run.wait_for(lambda: len(run.find("step")) >= 30)
        made.remove_node(nodes[0], allow_graceful=False)
        run.end(seconds=200)
        assert run.totals() == undisturbed
    finally:
        made.shutdown()


def test_memory_limits_the_size_of_packs(tmp_path: Path) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    args = ("--engine", "local", f"--set=scratch={memory // 4}", "--set=seconds=0.01")
    run = Run(tmp_path, *args, space=MANY)
    run.end()
    order = [what.partition("-")[0] for what, _ in run.find("step")]
    packs = [order[first : first + 9] for first in range(0, len(order), 9)]  # 3 trials, 3 steps
    assert [len(set(pack)) for pack in packs] == [3, 3, 3, 3]


def test_cache_is_reused_by_later_sweeps(tmp_path: Path) -> None:
    cache = ("--cache", str(tmp_path / "kept"), "--engine", "local")
    first = Run(tmp_path, *cache)
    assert "2 stages computed" in first.end()
    kept = sorted((tmp_path / "kept").iterdir())
    assert [path.suffix for path in kept] == [".safetensors"] * 2
    kept[0].write_bytes(b"damaged")
    second = Run(tmp_path, *cache, "--set=steps=4", name="t")
    output = " ".join(second.end().split())
    assert "read from the cache" in output
    assert "1 stage computed" in output  # in place of the damaged one
    assert len(second.find("stage")) == 3  # two, and the damaged one again
    assert read_sweep(second.out, "fragile", "t").trials.num_rows == 12
    assert not list((tmp_path / "kept").glob("*.tmp"))


def test_two_sweeps_share_one_cache(tmp_path: Path) -> None:
    cache = ("--cache", str(tmp_path / "kept"), "--engine", "local", "--set=stage_seconds=0.3")
    both = [Run(tmp_path, *cache, out=out) for out in ("a", "b")]
    for run in both:
        run.end()
    assert both[0].totals() == both[1].totals()
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_unwritable_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = Run(tmp_path, "--cache", str(tmp_path / "file"), "--engine", "local")
    _, output = run.process.communicate()
    assert run.process.returncode == 2
    assert str(tmp_path / "file") in output
    assert "Traceback" not in output
    with pytest.raises(StoreError):
        read_sweep(run.out, "fragile", "s")


def test_random_kills_leave_the_undisturbed_totals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill workers, a stage, nodes and the driver in turn, each a few times."""
    from ray.cluster_utils import Cluster

    (tmp_path / "calm").mkdir()
    calm = Run(tmp_path / "calm", "--engine=local", "--set=steps=16")
    calm.end()
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    draw = random.Random(0)
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [made.add_node(num_cpus=1) for _ in range(2)]
        # The sweep must not end before the last kill.
        args = ["--address", made.address, "--set=steps=16", "--set=seconds=0.3"]
        args += ["--set=stage_seconds=2"]
        run = Run(tmp_path, *args)
        run.wait_for(lambda: bool(run.find("stage")))
        os.kill(run.find("stage")[-1][1], signal.SIGKILL)
        for victim in ("worker", "driver", "worker", "node", "worker", "driver", "node", "worker"):
            steps = len(run.find("step"))
            run.wait_for(lambda run=run, steps=steps: len(run.find("step")) >= steps + 4)  # type: ignore[misc]
            time.sleep(draw.random())
            if victim == "worker":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(run.find("step")[-1][1], signal.SIGKILL)
            elif victim == "node":
                made.remove_node(nodes.pop(0), allow_graceful=False)
                nodes.append(made.add_node(num_cpus=1))
            else:
                run.process.kill()
                run.process.wait()
                run = Run(tmp_path, *args)
        run.end(seconds=200)
    finally:
        made.shutdown()
    rows = read_sweep(run.out, "fragile", "s").rows()
    assert {row["status"] for row in rows} == {"finished"}
    assert run.totals() == calm.totals()
    counted = Counter(what for what, _ in run.find("step"))
    assert len(counted) == 12 * 16
    # A kill costs at most the running step of each trial.
    assert sum(counted.values()) <= 12 * 16 + 8 * 12
