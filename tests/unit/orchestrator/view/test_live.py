"""The live view, on terminals of several widths and as plain lines."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from rich.console import Console

from orchestrator.execution.events import Pack
from orchestrator.planning.discovery import load_task
from orchestrator.planning.labels import (
    Configuration,
    EarlierTrial,
)
from orchestrator.planning.plan import TrialFactory, distinct_stages
from orchestrator.saving.checkpoints import TimedStep
from orchestrator.view.live import SweepView
from tasks.contract import Step, Task, Trial

WIDTHS = (60, 80, 120, 160)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of the view, which a test moves."""
    clock = [0.0]
    monkeypatch.setattr("orchestrator.view.live.time.monotonic", lambda: clock[0])
    return clock


def make_trials(task: Task, rows: Sequence[Mapping[str, Any]], seeds: int = 1) -> list[Trial]:
    model, data = task.resolve(task.default_model, task.default_data)
    factory = TrialFactory(task=task, model=model, data=data, fixed={})
    return [factory.trial(row, seed) for row in rows for seed in range(seeds)]


def make_view(
    task: Task, trials: Sequence[Trial], *, terminal: bool, width: int = 80, **more: Any
) -> tuple[SweepView, Console]:
    console = Console(
        file=io.StringIO(), force_terminal=terminal, width=width, height=24, color_system=None
    )
    options = {"trials": trials, "to_run": trials, "stages": distinct_stages(task, trials)}
    return SweepView(console, task, total=lambda: len(trials), **{**options, **more}), console


def shown(view: SweepView, console: Console) -> list[str]:
    with console.capture() as captured:
        console.print(view)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    assert all(len(line) <= console.width for line in lines)
    return lines


def step(task: Task, at: int, value: float, done: bool = False) -> TimedStep:
    made = Step(at=at, metrics={task.metric.name: value}, done=done)
    return TimedStep(step=made, seconds=1.0)


GRID = [{"epochs": 3, "lr": lr, "weight_decay": wd} for lr in (1e-5, 1e-2) for wd in (0.0, 1e-3)]


@pytest.fixture(scope="module")
def retrieval() -> tuple[Task, list[Trial]]:
    task = load_task("retrieval")
    return task, make_trials(task, GRID)


def test_other_output_stays_out_of_the_view(
    retrieval: tuple[Task, list[Trial]], capsys: pytest.CaptureFixture[str]
) -> None:
    view, console = make_view(*retrieval, terminal=True)
    with view:
        print("Trial PackTrainable_5edab62c completed. Last result:")
        print("a warning", file=sys.stderr)
    assert isinstance(console.file, io.StringIO)
    assert "PackTrainable" not in console.file.getvalue()
    assert "a warning" not in console.file.getvalue()
    found = capsys.readouterr()
    assert "PackTrainable" in found.out  # there the engine redirects it to its log
    assert "a warning" in found.err


@pytest.mark.parametrize("width", WIDTHS)
def test_first_epoch_shows_progress_and_time_left(
    retrieval: tuple[Task, list[Trial]], now: list[float], width: int
) -> None:
    task, trials = retrieval
    view, console = make_view(task, trials, terminal=True, width=width, stages=[])
    view.pack_started(Pack(id=1, trials=tuple(trials)))
    text = "\n".join(shown(view, console))
    assert "4 trials are waiting to start" in text
    for trial in trials:
        view.progressed(trial, 0.0, None)
    now[0] = 4.0
    for trial in trials:
        view.progressed(trial, 0.4, None)
    lines = shown(view, console)
    text = "\n".join(lines)
    assert "0/4 trials finished" in text
    assert "0:04, about 0:26 left" in text  # 3 epochs of 10 s
    rows = [line for line in lines if line.startswith("epoch 1/3, 40 %")]
    assert len(rows) == 4
    for row, params in zip(rows, GRID, strict=True):  # only the differing parameter is shown
        assert row.split("40 %")[1].split()[0] == f"lr={'1e-5' if params['lr'] < 1e-3 else '1e-2'}"
    assert "start=" not in text
    assert "waiting" not in text


@pytest.mark.parametrize("width", WIDTHS)
def test_differing_values_are_never_truncated(now: list[float], width: int) -> None:
    task = load_task("captioning")
    prompts = ["a picture of ", "a photograph that shows a scene with ", "this "]
    rows = [
        {"prompt": prompt, "top_k": 50, "temperature": temperature, "max_length": 60}
        for prompt in prompts
        for temperature in (0.7, 0.123456, 0.1234561)
    ]
    trials = make_trials(task, rows, seeds=2)[:8]
    view, console = make_view(task, trials, terminal=True, width=width, stages=[])
    view.pack_started(Pack(id=1, trials=tuple(trials)))
    for trial in trials:
        view.progressed(trial, 0.5, 80)
        view.stepped(trial, step(task, 80, 12.3))
    text = "".join(line.strip() + " " for line in shown(view, console))
    total = task.num_steps(trials[0])
    assert text.count(f"80/{total} images") == 8  # never a bare "step 80"
    assert "step" not in text
    words = " ".join(text.split())
    for part in ("temperature=0.7 ", "0.123456 ", "0.1234561 ", "seed=0", "seed=1"):
        assert part in words, part
    assert "…" not in text


def test_search_labels_only_parameters_that_varied() -> None:
    task = load_task("retrieval")
    trials = make_trials(task, [{"lr": lr, "temperature": 0.05} for lr in (1e-5, 3e-4, 1e-3)])
    view, console = make_view(task, [], terminal=False)
    view.ended(trials[0], "finished", 0.5, "")
    view.ended(trials[1], "finished", 0.6, "")
    view.pack_started(Pack(id=1, trials=(trials[0],)))
    view.pack_started(Pack(id=2, trials=(trials[1],)))
    view.ended(trials[1], "stopped", 0.6, "")
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[-1] == "[0:00] 3/4 pruned: lr=3e-4  image-to-text R@1 60.00 %"


@pytest.mark.parametrize("width", WIDTHS)
def test_stages_show_a_total_in_a_grid_and_a_count_in_a_search(
    retrieval: tuple[Task, list[Trial]], now: list[float], width: int
) -> None:
    task, trials = retrieval
    stages = distinct_stages(task, trials)
    grid, console = make_view(task, trials, terminal=True, width=width)
    search, other = make_view(task, [], terminal=True, width=width)
    for view in (grid, search):
        view.pack_started(Pack(id=1, trials=tuple(trials)))
        now[0] = 0.0
        view.stage_progressed(stages[0], 0.0)
        now[0] = 3.0
        view.stage_done(stages[0], 3.0)
        view.stage_progressed(stages[1], 0.25)
    in_grid, in_search = (" ".join(shown(*each)) for each in ((grid, console), (search, other)))
    assert f"2/{len(stages)}, 25 %" in in_grid
    assert "computing shared stage encode_images" in in_grid
    assert "4 trials are waiting for the shared stages, about" in in_grid
    assert "(1 computed so far)" in in_search
    assert f"/{len(stages)}" not in in_search


def test_resumed_sweep_counts_earlier_trials_and_their_best(
    retrieval: tuple[Task, list[Trial]],
) -> None:
    task, trials = retrieval
    earlier = [
        EarlierTrial(configuration=Configuration.of(trials[0]), status="finished", value=0.7),
        EarlierTrial(configuration=Configuration.of(trials[1]), status="failed"),
    ]
    view, console = make_view(task, trials, terminal=True, to_run=trials[2:], earlier=earlier)
    view.pack_started(Pack(id=1, trials=(trials[2],)))
    view.stepped(trials[2], step(task, 1, 0.5), replayed=True)
    text = "\n".join(shown(view, console))
    assert "1/4 trials finished, 1 failed" in text
    assert "best so far: image-to-text R@1 70.00 %  lr=1e-5 weight_decay=0" in text
    assert "epoch 2/3" in text
    view.ended(trials[2], "finished", 0.6, "")
    assert "R@1 70.00 %" in "\n".join(shown(view, console))
    view.ended(trials[3], "finished", 0.8, "")
    assert "R@1 80.00 %" in "\n".join(shown(view, console))


def test_plain_output_reports_ended_trials_and_long_steps(
    retrieval: tuple[Task, list[Trial]], now: list[float]
) -> None:
    task, trials = retrieval
    view, console = make_view(task, trials, terminal=False, stages=[])
    view.pack_started(Pack(id=1, trials=tuple(trials)))
    view.progressed(trials[0], 0.0, None)
    now[0] = 20.0
    view.progressed(trials[0], 0.2, None)
    now[0] = 40.0
    view.progressed(trials[0], 0.4, None)
    now[0] = 60.0
    view.progressed(trials[0], 0.6, None)
    view.ended(trials[0], "finished", 0.568, "")
    view.ended(trials[1], "failed", None, "the loss is not finite")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "[0:40] 0/4 finished; epoch 1/3, 40 % of lr=1e-5 weight_decay=0; about 19:00 left",
        "[1:00] 1/4 finished: lr=1e-5 weight_decay=0  image-to-text R@1 56.80 %",
        "[1:00] 2/4 failed: lr=1e-5 weight_decay=1e-3  the loss is not finite",
    ]


def test_long_stage_prints_a_line_every_30_seconds(
    retrieval: tuple[Task, list[Trial]], now: list[float]
) -> None:
    task, trials = retrieval
    view, console = make_view(task, trials, terminal=False)
    stages = distinct_stages(task, trials)
    for seconds in range(71):
        now[0] = float(seconds)
        view.stage_progressed(stages[1], seconds / 100)
    assert isinstance(console.file, io.StringIO)
    first, second = console.file.getvalue().splitlines()
    assert first.startswith(f"[0:31] computing shared stage 1/{len(stages)}, 31 %: encode_images(")
    assert second.startswith(f"[1:02] computing shared stage 1/{len(stages)}, 62 %: encode_images(")


def test_more_trials_than_terminal_lines(now: list[float]) -> None:
    task = load_task("toy")
    trials = make_trials(task, [{"lr": 0.01 * (n + 1)} for n in range(40)])
    view, console = make_view(task, trials, terminal=True)
    view.pack_started(Pack(id=1, trials=tuple(trials)))
    for trial in trials:
        view.progressed(trial, 0.1, None)
    lines = shown(view, console)
    assert len(lines) <= 24
    assert lines[-1] == "and 32 more"


def test_panel_shows_waiting_for_nodes_until_the_first_step(
    retrieval: tuple[Task, list[Trial]],
) -> None:
    task, trials = retrieval
    stage = task.stages(trials[0])[0]
    view, console = make_view(task, trials[:1], terminal=True, stages=[stage])
    view.wait_for_nodes("they take minutes")
    view.pack_started(Pack(id=1, trials=(trials[0],)))
    view.stage_done(stage, 1.0)
    assert "waiting for nodes" in "\n".join(shown(view, console))
    view.stepped(trials[0], step(task, 1, 0.5))
    assert "waiting for nodes" not in "\n".join(shown(view, console))
