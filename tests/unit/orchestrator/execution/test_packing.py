"""The number of packs that a set of trials can form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def test_max_num_packs_counts_packs_that_cannot_be_merged() -> None:
    from orchestrator.execution.packing import max_num_packs
    from orchestrator.planning.discovery import load_task
    from orchestrator.planning.plan import TrialFactory

    def trials(task: str, rows: Sequence[Mapping[str, float]]) -> int:
        loaded = load_task(task)
        model, data = loaded.resolve(loaded.default_model, loaded.default_data)
        factory = TrialFactory(task=loaded, model=model, data=data, fixed={})
        return max_num_packs(loaded, [factory.trial(row, 0) for row in rows])

    assert trials("retrieval", [{"lr": 1e-3}, {"lr": 1e-2}, {"lr": 1e-4}]) == 3
    # Two trainings, one of them sampled twice.
    rows = [{"epochs": 2}, {"epochs": 3}, {"epochs": 3, "num_samples": 8}]
    assert trials("diffusion", rows) == 2
