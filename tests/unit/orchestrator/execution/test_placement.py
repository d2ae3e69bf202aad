"""Slots are counted where they find room."""

from __future__ import annotations

import pytest

from orchestrator.execution.placement import Placement, place_measured_workers, place_workers
from tasks.contract import RequestError


def placed(
    *nodes: tuple[float, float], packs: int | None = None, cpus: int | None = None, gpus: float = 1
) -> tuple[int, int, float]:
    made = [{"CPU": cpu, "GPU": gpu} for cpu, gpu in nodes]
    found: Placement = place_workers(
        made, max_packs=packs, cpus_per_trial=cpus, gpus_per_trial=gpus
    )
    return found.num_workers, found.cpus, found.gpus


def test_a_machine_without_a_gpu_runs_a_slot_a_processor() -> None:
    assert placed((2, 0)) == (2, 1, 0)
    assert placed((8, 0), cpus=3) == (2, 3, 0)


def test_few_packs_share_all_processors() -> None:
    assert placed((8, 0), packs=1) == (1, 8, 0)
    assert placed((8, 0), packs=3) == (3, 2, 0)
    assert placed((4, 0), (4, 0), packs=1) == (1, 4, 0)  # a slot lies on one node


@pytest.mark.parametrize(("share", "slots"), [(1.0, 2), (0.5, 4), (0.6, 2), (0.1, 16), (0.3, 6)])
def test_shares_of_a_gpu_are_of_one_gpu(share: float, slots: int) -> None:
    assert placed((16, 2), gpus=share) == (slots, 16 // slots, share)


def test_nodes_without_a_gpu_take_no_slot_and_limit_none() -> None:
    assert placed((2, 0), (0, 0), (16, 2)) == (2, 8, 1)


def test_all_slots_find_room_on_unlike_nodes() -> None:
    assert placed((4, 4), (64, 4)) == (8, 1, 1)
    assert placed((4, 0), (64, 0), packs=17) == (17, 4, 0)


def test_a_slot_that_no_node_has_room_for_is_refused() -> None:
    # The nodes together have four: Tune would wait for such a slot without end.
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
    """Slots by what a trial fills of 80 GiB, of a GPU or of a node."""
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


def test_a_gpu_has_as_many_slots_as_memory_admits() -> None:
    assert measured((16, 1), peak=10) == (6, 2, 1 / 6)  # of 64 GiB, the rest being margin
    assert measured((16, 1), peak=70) == (1, 16, 1)
    assert measured((16, 1), peak=500) == (1, 16, 1)  # it was measured, so it does fit
    assert measured((16, 1), (16, 1), peak=30, packs=20, full=20) == (4, 8, 1 / 2)


def test_slots_are_spread_over_the_gpus() -> None:
    # Fifths of a GPU would all lie on the first: Ray fills one before it turns to the next.
    assert measured((16, 2), peak=1, packs=4, full=4) == (4, 4, 1 / 2)
    assert measured((16, 2), peak=1, packs=5, full=5) == (5, 3, 1 / 3)
    assert measured((4, 2), peak=1) == (4, 1, 1 / 2)  # no more than processors
    assert measured((16, 2), peak=1, cpus=4) == (4, 4, 1 / 2)


def test_trials_that_can_share_a_pack_do_not_share_a_gpu() -> None:
    assert measured((16, 1), peak=1, packs=32, full=1) == (1, 16, 1)
    assert measured((16, 4), peak=1, packs=32, full=1) == (4, 4, 1)  # but every GPU has a slot
    assert measured((16, 1), peak=1, packs=96, full=3) == (3, 5, 1 / 3)


def test_main_memory_limits_slots_where_there_is_no_gpu() -> None:
    assert measured((16, 0), peak=10) == (6, 2, 0)
    assert measured((16, 0), peak=1) == (16, 1, 0)
    assert measured((16, 0), peak=500) == (1, 16, 0)
    assert measured((8, 0), (8, 0), peak=30) == (4, 4, 0)
