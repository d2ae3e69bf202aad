"""The order in which stages start."""

from __future__ import annotations

from fake_stages import TASK, FakeStages, stage

from orchestrator.execution.events import Failure
from orchestrator.execution.stage_demand import StageDemand


def test_stage_starts_after_its_dependencies_and_fails_with_them() -> None:
    stages = FakeStages(StageDemand(TASK, None))
    below, beside = stage(0), stage(9)
    above = stage(1, below)
    stages.request(above)
    stages.request(beside)
    assert stages.start_next() == (below, [])
    assert stages.start_next() == (beside, [])
    assert stages.start_next() is None
    stages.on_done(below, 7)
    assert stages.start_next() == (above, [7])
    stages.request(stage(2, stage(3)))
    stages.on_done(beside, 8)
    assert stages.start_next() == (stage(3), [])
    stages.on_failed(stage(3), Failure(reason="broken", log=""))
    assert stages.start_next() is None
    failed = stages.failed([stage(2, stage(3))])
    assert failed is not None
    assert failed.reason == "broken"
