"""Stages and packs on a real Ray cluster whose processes and nodes are killed while they work.

The task of ``tests/plugin`` leaves a note of all that it computes, so nothing is assumed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Run, small_cluster
from paths import PYTHONPATH

from results.storage.reading import read_sweep
from tasks.contract import StoreError

MANY = "GRID = {'level': list(range(12))}\n"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int, int], float]:
    one = Run(tmp_path_factory.mktemp("local"), "--engine", "local", "--set=steps=8")
    one.end()
    counted = Counter(what for what, _ in one.find("stage"))
    assert counted == {"0": 1, "1": 1}
    return one.totals()


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with small_cluster() as address:
        yield address


def test_a_worker_killed_while_it_computes_a_stage(
    tmp_path: Path, cluster: str, undisturbed: dict[tuple[int, int, int], float]
) -> None:
    one = Run(
        tmp_path,
        "--address",
        cluster,
        "--gpus-per-trial=0.5",
        "--set=steps=8",
        "--set=stage_seconds=1",
    )
    one.wait_for(lambda: bool(one.find("stage")))
    what, pid = one.find("stage")[0]
    os.kill(pid, signal.SIGKILL)
    one.end()
    assert one.totals().keys() == undisturbed.keys()
    counted = Counter(name for name, _ in one.find("stage"))
    assert counted[what] == 2  # once more, after the loss
    assert sorted(counted.values()) == [1, 2]


def test_a_worker_killed_between_steps_goes_on_from_its_checkpoints(
    tmp_path: Path, cluster: str, undisturbed: dict[tuple[int, int, int], float]
) -> None:
    one = Run(
        tmp_path, "--address", cluster, "--gpus-per-trial=0.5", "--set=steps=8", "--set=seconds=0.2"
    )
    one.wait_for(lambda: len(one.find("step")) >= 30)
    os.kill(one.find("step")[-1][1], signal.SIGKILL)
    one.end()
    assert one.totals() == undisturbed
    counted = Counter(what for what, _ in one.find("step"))
    assert len(counted) == 12 * 8
    again = sum(number - 1 for number in counted.values())
    assert again <= 6  # at most the step that each member of the pack was in
    assert set(Counter(what for what, _ in one.find("stage")).values()) == {1}


def test_one_that_kills_its_workers_takes_no_other_along(tmp_path: Path, cluster: str) -> None:
    one = Run(
        tmp_path, "--address", cluster, "--gpus-per-trial=0.5", "--set=fail=exit", "--set=stage=0"
    )
    told = one.end(status=1, seconds=200)
    assert "its worker died 4 times" in told
    rows = read_sweep(one.out, "fragile", "s").rows()
    assert {row["param.level"]: row["status"] for row in rows} == {
        level: "failed" if level == 1 else "finished" for level in range(6)
    }


@pytest.mark.parametrize("fail", ["raise", "nan", "memory"])
def test_a_failed_trial_is_a_row_and_the_others_go_on(
    tmp_path: Path, cluster: str, fail: str
) -> None:
    one = Run(tmp_path, "--address", cluster, f"--set=fail={fail}", "--set=stage=0")
    told = one.end(status=1)
    reason = {
        "raise": "ValueError: it was told to break",
        "nan": "total is nan at step 1",
        "memory": "Unable to allocate",
    }[fail]
    assert reason in told
    assert len(one.totals()) == 5


@pytest.mark.parametrize("engine", ["ray", "local"])
def test_a_failed_stage_fails_those_alone_that_need_it(
    tmp_path: Path, cluster: str, engine: str
) -> None:
    where = ("--address", cluster) if engine == "ray" else ("--engine", "local")
    one = Run(tmp_path, *where, "--set=fail=stage")
    assert "this stage was told to break" in one.end(status=1)
    assert {stage for _, stage, _ in one.totals()} == {0}
    assert len(one.totals()) == 6


def test_what_is_not_finite_leaves_no_checkpoint(tmp_path: Path, cluster: str) -> None:
    slow = ("--set=seconds=0.1", "--set=steps=6", "--set=stage=0")
    one = Run(tmp_path, "--address", cluster, "--set=fail=nan", *slow)
    one.end(status=1)
    assert not list((Path(one.out) / ".checkpoints").glob("*.safetensors"))


def test_results_that_cannot_be_written_are_said_in_a_line(tmp_path: Path, cluster: str) -> None:
    one = Run(tmp_path, "--address", cluster, "--set=seconds=0.2", "--set=steps=8")
    one.wait_for(lambda: bool(one.find("step")))
    folder = Path(one.out) / "fragile" / "s" / "steps"
    folder.rmdir()
    folder.write_text("in the way")
    told = one.process.communicate(timeout=120)
    assert one.process.returncode == 2, told
    assert "cannot write" in told[1]
    assert "Traceback" not in told[0] + told[1]


def test_a_worker_starts_while_its_stage_is_computed_on_the_one_gpu_that_both_need(
    tmp_path: Path, cluster: str, undisturbed: dict[tuple[int, int, int], float]
) -> None:
    args = ("--set=steps=8", "--set=on_device=true", "--set=stage_seconds=15")
    one = Run(tmp_path, "--address", cluster, *args)
    one.wait_for(lambda: bool(one.find("stage")))
    one.wait_for(lambda: bool(children_of(cluster, "ray::ResourceTrainable")))
    assert not one.find("stage-done")
    one.end()
    assert one.totals().keys() == undisturbed.keys()


def test_a_stage_that_first_appears_in_a_search_does_not_wait_for_its_own_worker(
    tmp_path: Path, cluster: str
) -> None:
    args = ("--space", "search", "--trials", "12", "--sampler", "random", "--set=on_device=true")
    one = Run(tmp_path, "--address", cluster, *args)
    one.end()
    rows = read_sweep(one.out, "fragile", "s").rows()
    assert Counter(row["status"] for row in rows).keys() <= {"finished", "stopped"}
    assert len(rows) == 12
    counted = Counter(what for what, _ in one.find("stage"))
    assert len(counted) > 2
    assert set(counted.values()) == {1}


def test_the_mailbox_killed(
    tmp_path: Path, cluster: str, undisturbed: dict[tuple[int, int, int], float]
) -> None:
    one = Run(
        tmp_path, "--address", cluster, "--gpus-per-trial=0.5", "--set=steps=8", "--set=seconds=0.5"
    )
    one.wait_for(lambda: len(one.find("step")) >= 10)
    (mailbox,) = children_of(cluster, "ray::Mailbox")
    os.kill(mailbox, signal.SIGKILL)
    one.end()
    assert one.totals() == undisturbed


def children_of(cluster: str, name: str) -> list[int]:
    """The processes that Ray names so, of the cluster with this address."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            raylet = Path("/proc", parent, "cmdline").read_text()
            if command.startswith(name) and cluster in raylet:
                found.append(int(process.name))
    return found


def test_a_node_lost_with_the_values_it_holds(
    tmp_path: Path, undisturbed: dict[tuple[int, int, int], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [made.add_node(num_cpus=1) for _ in range(2)]
        one = Run(tmp_path, "--address", made.address, "--set=steps=8", "--set=seconds=0.3")
        one.wait_for(lambda: len(one.find("step")) >= 30)
        made.remove_node(nodes[0], allow_graceful=False)
        one.end(seconds=200)
        assert one.totals() == undisturbed
    finally:
        made.shutdown()


def test_packs_are_bounded_by_memory(tmp_path: Path) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    args = ("--engine", "local", f"--set=scratch={memory // 4}", "--set=seconds=0.01")
    one = Run(tmp_path, *args, space=MANY)
    one.end()
    order = [what.partition("-")[0] for what, _ in one.find("step")]
    packs = [order[first : first + 9] for first in range(0, len(order), 9)]  # 3 trials, 3 steps
    assert [len(set(pack)) for pack in packs] == [3, 3, 3, 3]


def test_values_are_kept_for_later_sweeps(tmp_path: Path) -> None:
    cache = ("--cache", str(tmp_path / "kept"), "--engine", "local")
    first = Run(tmp_path, *cache)
    assert "2 stages computed" in first.end()
    kept = sorted((tmp_path / "kept").iterdir())
    assert [path.suffix for path in kept] == [".safetensors"] * 2
    kept[0].write_bytes(b"damaged")
    second = Run(tmp_path, *cache, "--set=steps=4", name="t")
    told = " ".join(second.end().split())
    assert "read from the cache" in told
    assert "1 stage computed" in told  # in place of the damaged one
    assert len(second.find("stage")) == 3  # twice, and once more for the damaged one
    assert read_sweep(second.out, "fragile", "t").trials.num_rows == 12
    assert not list((tmp_path / "kept").glob("*.tmp"))


def test_two_sweeps_write_one_cache_at_once(tmp_path: Path) -> None:
    cache = ("--cache", str(tmp_path / "kept"), "--engine", "local", "--set=stage_seconds=0.3")
    both = [Run(tmp_path, *cache, out=out) for out in ("a", "b")]
    for one in both:
        one.end()
    assert both[0].totals() == both[1].totals()
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one = Run(tmp_path, "--cache", str(tmp_path / "file"), "--engine", "local")
    _, told = one.process.communicate()
    assert one.process.returncode == 2
    assert str(tmp_path / "file") in told
    assert "Traceback" not in told
    with pytest.raises(StoreError):
        read_sweep(one.out, "fragile", "s")


def test_killed_at_random_moments_the_totals_are_the_undisturbed_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots, stages, nodes and the driver, in turns, until each was killed a few times."""
    from ray.cluster_utils import Cluster

    (tmp_path / "calm").mkdir()
    calm = Run(tmp_path / "calm", "--engine=local", "--set=steps=24")
    calm.end()
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    draw = random.Random(0)
    killed: Counter[str] = Counter()
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [made.add_node(num_cpus=1) for _ in range(2)]
        # Long enough that the sweep does not end before the last kill.
        args = ["--address", made.address, "--set=steps=24", "--set=seconds=0.3"]
        args += ["--set=stage_seconds=2"]
        one = Run(tmp_path, *args)
        one.wait_for(lambda: bool(one.find("stage")))
        os.kill(one.find("stage")[-1][1], signal.SIGKILL)
        killed["stage"] += 1
        for victim in ("slot", "driver", "slot", "node", "slot", "driver", "node", "slot"):
            steps = len(one.find("step"))
            one.wait_for(lambda run=one, steps=steps: len(run.find("step")) >= steps + 4)  # type: ignore[misc]
            time.sleep(draw.random())
            if victim == "slot":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.find("step")[-1][1], signal.SIGKILL)
            elif victim == "node":
                made.remove_node(nodes.pop(0), allow_graceful=False)
                nodes.append(made.add_node(num_cpus=1))
            else:
                one.process.kill()
                one.process.wait()
                one = Run(tmp_path, *args)
            killed[victim] += 1
        one.end(seconds=200)
    finally:
        made.shutdown()
    assert killed == {"stage": 1, "slot": 4, "node": 2, "driver": 2}
    rows = read_sweep(one.out, "fragile", "s").rows()
    assert {row["status"] for row in rows} == {"finished"}
    assert one.totals() == calm.totals()
    counted = Counter(what for what, _ in one.find("step"))
    assert len(counted) == 12 * 24
    assert sum(counted.values()) <= 12 * 24 + 8 * 12  # a kill costs at most the step under way
