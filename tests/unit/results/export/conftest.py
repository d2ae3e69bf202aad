"""A sweep of every task, to export."""

from __future__ import annotations

import pytest
from simulated import simulate

from orchestrator.planning import discovery
from results.storage.reading import Sweep


@pytest.fixture(scope="session", params=discovery.task_names())
def sweep(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return simulate(request.param, tmp_path_factory.mktemp("out"))
