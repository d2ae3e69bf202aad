"""What the view shows: on consoles of several widths, in plain lines, and of real sweeps."""

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
    Labels,
    format_duration,
    format_step,
    format_time_left,
)
from orchestrator.planning.plan import TrialFactory, distinct_stages
from orchestrator.saving.checkpoints import TimedStep
from orchestrator.view.live import SweepView
from tasks.contract import Step, Task, Trial

WIDTHS = (60, 80, 120, 160)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The view's clock, which a test moves."""
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


def test_what_others_print_stays_out_of_the_view(
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
    assert "PackTrainable" in found.out  # where the engine sends it to its log
    assert "a warning" in found.err


@pytest.mark.parametrize("width", WIDTHS)
def test_the_first_epoch_shows_its_number_its_progress_and_the_time_left(
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
    for row, params in zip(rows, GRID, strict=True):  # what differs, and nothing before it
        assert row.split("40 %")[1].split()[0] == f"lr={'1e-5' if params['lr'] < 1e-3 else '1e-2'}"
    assert "start=" not in text
    assert "waiting" not in text


@pytest.mark.parametrize("width", WIDTHS)
def test_values_that_differ_are_never_cut(now: list[float], width: int) -> None:
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


def test_what_varies_in_the_sweep_follows_what_differs_among_those_shown() -> None:
    labels = Labels(load_task("retrieval").columns)
    every = [
        Configuration(values={"start": start, "lr": lr, "head": "own", "seed": 0})
        for start in ("pretrained", "random")
        for lr in (1e-5, 1e-2)
    ]
    for one in every:
        labels.see(one)
    assert labels.varying() == ["start", "lr"]
    assert labels.describe_among(every[0], every[:2], 80) == "lr=1e-5 start=pretrained"
    assert labels.describe_among(every[0], every[:2], 10) == "lr=1e-5"
    assert labels.describe_among(every[0], every[:1], 3) == "start=pretrained"
    assert labels.describe(every[3]) == "start=random lr=1e-2"


def test_a_search_names_only_what_has_varied_so_far() -> None:
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
def test_stages_show_a_number_of_all_in_a_grid_and_so_far_in_a_search(
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


def test_a_resumed_sweep_counts_earlier_trials_and_knows_their_best(
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


def test_plain_lines_say_what_ended_and_how_far_a_long_step_is(
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


def test_a_long_stage_prints_a_line_every_half_minute(
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


def test_more_trials_than_the_terminal_is_high(now: list[float]) -> None:
    task = load_task("toy")
    trials = make_trials(task, [{"lr": 0.01 * (n + 1)} for n in range(40)])
    view, console = make_view(task, trials, terminal=True)
    view.pack_started(Pack(id=1, trials=tuple(trials)))
    for trial in trials:
        view.progressed(trial, 0.1, None)
    lines = shown(view, console)
    assert len(lines) <= 24
    assert lines[-1] == "and 32 more"


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("epoch 1/3", ("epoch", 3, 0)),
        ("epoch 1/3, 40 %", ("epoch", 3, 0, 0.4)),
        ("epoch 2/3", ("epoch", 3, 1)),
        ("epoch 3/3, 99 %", ("epoch", 3, 2, 0.999)),
        ("epoch 3/3", ("epoch", 3, 3)),
        ("epoch 2", ("epoch", None, 1)),
        ("0 epochs", ("epoch", 0, 0)),
        ("0 epochs, 50 %", ("epoch", 0, 0, 0.5)),
        ("352/1449 images", ("images", 1449, 352)),
        ("352/1449 images, 50 %", ("images", 1449, 352, 0.5)),
        ("538/1449 images", ("images", 1449, 352, 0.5, 724)),
        ("epoch 8/30, 50 %", ("epoch", 30, 5, 0.5, 10)),
        ("352 images", ("images", None, 352)),
        ("step 1/4", ("step", 4, 0)),
    ],
)
def test_a_step_has_a_unit_and_a_total(text: str, arguments: tuple[Any, ...]) -> None:
    assert format_step(*arguments) == text


def test_times_are_rounded_to_what_an_estimate_is_worth() -> None:
    assert [format_duration(s) for s in (0.4, 75, 3675)] == ["0:00", "1:15", "1:01:15"]
    given = (None, 0.2, 12.4, 64.0, 3601.0)
    assert [format_time_left(s) for s in given] == [
        "",
        "about 0:01 left",
        "about 0:12 left",
        "about 1:05 left",
        "about 1:00:00 left",
    ]


# --- real sweeps ----------------------------------------------------------------------------------
