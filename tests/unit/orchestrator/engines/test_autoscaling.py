"""How many nodes a cluster can have, and what the view says while it waits for them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ray_bootstrap import bootstrap
from rich.console import Console

from orchestrator.engines.ray.autoscaling import max_cluster_nodes
from orchestrator.view.live import SweepView

HEAD = {"NodeManagerAddress": "10.0.0.1", "Resources": {"node:__internal_head__": 1.0}}
WORKER = {"NodeManagerAddress": "10.0.0.2", "Resources": {"CPU": 2.0}}


def test_workers_that_may_be_started_count(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    bootstrap(tmp_path)
    full = [HEAD["Resources"], {"CPU": 2}, {"CPU": 2}]
    assert max_cluster_nodes([HEAD], "10.0.0.1") == full
    assert max_cluster_nodes([HEAD, WORKER], "10.0.0.1") == full  # one of them is there already
    bootstrap(tmp_path, max_workers=1)
    assert max_cluster_nodes([HEAD], "10.0.0.1") == full[:2]


def test_without_an_autoscaler_the_nodes_are_what_they_are(
    monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert max_cluster_nodes([HEAD, WORKER], "10.0.0.1") == [HEAD["Resources"], WORKER["Resources"]]
    # Machines of one's own: Ray knows nothing of them before they are there.
    own = {"local": {"node_config": {}, "resources": {}, "max_workers": 2}}
    bootstrap(tmp_path, available_node_types=own, head_node_type="local")
    assert max_cluster_nodes([HEAD], "10.0.0.1") == [HEAD["Resources"]]
    # Another cluster's file, on a machine that is not this cluster's head.
    bootstrap(tmp_path)
    assert max_cluster_nodes([HEAD], "10.0.0.9") == [HEAD["Resources"]]


def test_the_panel_says_that_nodes_are_waited_for_until_a_trial_has_made_a_step() -> None:
    from orchestrator.execution.events import Pack
    from orchestrator.planning.discovery import load_task
    from orchestrator.saving.checkpoints import TimedStep
    from tasks.contract import Step, Trial

    task = load_task("retrieval")
    source = task.resolve(task.default_model, task.default_data)
    trial = Trial(
        task=task.name,
        version=task.version,
        params=task.Params(),
        seed=0,
        model=source[0],
        data=source[1],
    )
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    stage = task.stages(trial)[0]
    view = SweepView(console, task, total=lambda: 1, to_run=[trial], stages=[stage])
    view.wait_for_nodes("they take minutes")
    view.pack_started(Pack(id=1, trials=(trial,)))
    view.stage_done(stage, 1.0)

    def panel() -> str:
        with console.capture() as shown:
            console.print(view)
        return shown.get()

    assert "waiting for nodes" in panel()
    step = Step(at=1, metrics={task.metric.name: 0.5}, done=False)
    view.stepped(trial, TimedStep(step=step, seconds=1.0))
    assert "waiting for nodes" not in panel()
