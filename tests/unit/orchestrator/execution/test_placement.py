"""The number of workers, and the CPUs and GPUs of each."""

from __future__ import annotations

import pytest

from orchestrator.execution.placement import (
    Placement,
    place_measured_workers,
    place_workers,
    processes_per_trial,
    stage_gpus,
)
from tasks.contract import RequestError


def placed(
    *nodes: tuple[float, float], packs: int | None = None, cpus: int | None = None, gpus: float = 1
) -> tuple[int, int, float]:
    made = [{"CPU": cpu, "GPU": gpu} for cpu, gpu in nodes]
    found: Placement = place_workers(
        made, max_packs=packs, cpus_per_trial=cpus, gpus_per_trial=gpus
    )
    return found.num_workers, found.cpus, found.gpus


def test_cpu_node_runs_one_worker_per_cpu() -> None:
    assert placed((2, 0)) == (2, 1, 0)
    assert placed((8, 0), cpus=3) == (2, 3, 0)


def test_few_packs_share_all_cpus() -> None:
    assert placed((8, 0), packs=1) == (1, 8, 0)
    assert placed((8, 0), packs=3) == (3, 2, 0)
    assert placed((4, 0), (4, 0), packs=1) == (1, 4, 0)  # a worker runs on one node


@pytest.mark.parametrize(("share", "workers"), [(1.0, 2), (0.5, 4), (0.6, 2), (0.1, 16), (0.3, 6)])
def test_gpu_fractions_never_span_gpus(share: float, workers: int) -> None:
    assert placed((16, 2), gpus=share) == (workers, 16 // workers, share)


def test_several_gpus_of_a_worker_are_on_one_node() -> None:
    assert placed((16, 8), (16, 3), gpus=2) == (5, 4, 2)
    with pytest.raises(RequestError, match=r"needs 1 CPUs and 4 GPUs \(nodes have 16 CPUs and 3"):
        placed((16, 3), (16, 3), gpus=4)
    with pytest.raises(RequestError, match=r"2 GPUs \(nodes have 2 CPUs and 0 GPUs"):
        placed((2, 0), gpus=2)


def test_stages_share_one_gpu_but_not_several() -> None:
    assert [stage_gpus(gpus) for gpus in (0.5, 1, 2, 0)] == [0.05, 0.1, 0, 0]
    assert [processes_per_trial(gpus) for gpus in (0.5, 1.0, 2.0, "auto")] == [1, 1, 2, 1]


def test_cpu_nodes_get_no_worker_where_there_are_gpus() -> None:
    assert placed((2, 0), (0, 0), (16, 2)) == (2, 8, 1)


def test_workers_fit_on_nodes_of_different_sizes() -> None:
    assert placed((4, 4), (64, 4)) == (8, 1, 1)
    assert placed((4, 0), (64, 0), packs=17) == (17, 4, 0)


def test_worker_that_fits_no_node_is_refused() -> None:
    # The nodes together have four CPUs: Tune would wait for such a worker forever.
    with pytest.raises(RequestError, match=r"needs 3 CPUs and 0 GPUs \(nodes have 2 CPUs"):
        placed((2, 0), (2, 0), cpus=3)
    with pytest.raises(RequestError, match="nodes have 0 CPUs and 4 GPUs or 8 CPUs and 0 GPUs"):
        placed((8, 0), (0, 4))


GIB = 2**30


def measured(
    *nodes: tuple[float, float],
    peak: float,
    packs: int | None = None,
    full: int | None = None,
    cpus: int | None = None,
) -> tuple[int, int, float]:
    """Workers by the share of 80 GiB that a trial uses, of a GPU or of a node."""
    made = [{"CPU": cpu, "GPU": gpu, "memory": 80.0 * GIB} for cpu, gpu in nodes]
    before = place_workers(made, max_packs=packs, cpus_per_trial=cpus, gpus_per_trial=1.0)
    found = place_measured_workers(
        made,
        before,
        peak=int(peak * GIB),
        capacity=80 * GIB,
        max_packs=packs,
        min_num_packs=full,
        cpus_per_trial=cpus,
    )
    return found.num_workers, found.cpus, pytest.approx(found.gpus)  # type: ignore[return-value]


def test_memory_limits_workers_per_gpu() -> None:
    assert measured((16, 1), peak=10) == (6, 2, 1 / 6)  # of 64 GiB, the rest being margin
    assert measured((16, 1), peak=70) == (1, 16, 1)
    assert measured((16, 1), peak=500) == (1, 16, 1)  # it was measured, so it fits
    assert measured((16, 1), (16, 1), peak=30, packs=20, full=20) == (4, 8, 1 / 2)


def test_workers_are_spread_over_gpus() -> None:
    # Ray fills one GPU before it uses the next, so fifths of a GPU would all be on the first.
    assert measured((16, 2), peak=1, packs=4, full=4) == (4, 4, 1 / 2)
    assert measured((16, 2), peak=1, packs=5, full=5) == (5, 3, 1 / 3)
    assert measured((4, 2), peak=1) == (4, 1, 1 / 2)  # no more than processors
    assert measured((16, 2), peak=1, cpus=4) == (4, 4, 1 / 2)


def test_trials_that_can_share_a_pack_do_not_share_a_gpu() -> None:
    assert measured((16, 1), peak=1, packs=32, full=1) == (1, 16, 1)
    assert measured((16, 4), peak=1, packs=32, full=1) == (4, 4, 1)  # but every GPU has a worker
    assert measured((16, 1), peak=1, packs=96, full=3) == (3, 5, 1 / 3)


def test_main_memory_limits_workers_without_gpus() -> None:
    assert measured((16, 0), peak=10) == (6, 2, 0)
    assert measured((16, 0), peak=1) == (16, 1, 0)
    assert measured((16, 0), peak=500) == (1, 16, 0)
    assert measured((8, 0), (8, 0), peak=30) == (4, 4, 0)
