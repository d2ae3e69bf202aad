"""One suite for every tracker, which writes to its real local store and reads it back."""

from __future__ import annotations

import io
import math
import time
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from harness import Run, run_command
from PIL import Image
from tracked import REPORT, result, steps, sweep, tracked_trial
from tracker_stores import STORES, Store

from orchestrator.tracking.finding import BUILT_IN, load_tracker
from orchestrator.tracking.tracker import TrackedStep, TrackedTrial, Tracker
from results.storage.reading import read_sweep

# The packages of trackers give warnings that this project cannot fix.
pytestmark = pytest.mark.filterwarnings("default")

#: What reads a tracker's store, if it is not the tracker's own package.
READERS = {"tensorboard": "tensorboard"}


@pytest.fixture(params=STORES)
def tracker_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    for module in (BUILT_IN[name], READERS.get(name, BUILT_IN[name])):
        pytest.importorskip(module, reason=f"{module} is not installed", exc_type=ImportError)
    return name


@pytest.fixture
def store(tracker_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    return STORES[tracker_name](tmp_path, monkeypatch)


class Process:
    """One process that tracks a sweep."""

    def __init__(self, name: str, folder: Path, *, is_rerun: bool = False) -> None:
        (folder / "out/toy/s").mkdir(parents=True, exist_ok=True)
        self.tracker: Tracker = load_tracker(name)
        assert self.tracker.open(sweep(f"{folder}/out/toy/s", is_rerun=is_rerun))

    def track(self, trial: TrackedTrial, last: int, status: str = "", **changes: Any) -> None:
        """Send all steps of a trial that the run does not have, and its end."""
        known = set(self.tracker.start(trial))
        for step in steps(*range(last + 1)):
            if step.at not in known:
                self.tracker.log(trial, [step])
        if status:
            self.tracker.end(trial, result(status=status, **changes))


def curve(last: int) -> dict[str, Any]:
    made = steps(*range(last + 1))
    return {
        name: [(step.at, pytest.approx(step.metrics[name], rel=1e-6)) for step in made]
        for name in ("error", "r@1")
    }


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, format="PNG")
    return out.getvalue()


def test_every_tracker_has_a_test() -> None:
    assert list(STORES) == list(BUILT_IN)


def test_resumed_trials_continue(tracker_name: str, store: Store) -> None:
    ended, interrupted, killed = (tracked_trial(seed) for seed in range(3))
    first = Process(tracker_name, store.folder)
    table = {"caption": ["a | b", "c"], "score": [0.5, float("nan")]}
    first.track(ended, 2, "finished", table=table, pictures={"samples": png()})
    first.track(interrupted, 1, "interrupted")
    first.track(killed, 1)
    first.tracker.close(None)
    second = Process(tracker_name, store.folder)
    second.track(interrupted, 4, "finished")
    second.track(killed, 3, "failed", reason="no memory")
    second.tracker.close(REPORT)
    found = store.trials("s")
    assert found.keys() == {ended.id, interrupted.id, killed.id}
    for trial, last in ((ended, 2), (interrupted, 4), (killed, 3)):
        wanted = curve(last) if store.keeps_all else {"error": curve(last)["error"]}
        assert found[trial.id].curves == wanted, trial
        assert found[trial.id].parameters.items() >= {"lr": "0.1", "word": "None"}.items()
    assert found[interrupted.id].status == "finished"
    assert "failed" in found[killed.id].status
    if store.keeps_all:
        assert found[ended.id].files == {"table", "picture"}
        assert found[interrupted.id].files == set()
        assert "0.1" in store.report("s")


@pytest.mark.parametrize(
    "tracker_name", [name for name in STORES if name != "optuna"], indirect=True
)
@pytest.mark.parametrize("status", ["failed", "cancelled", "stopped"])
def test_trial_that_runs_again_gets_all_its_steps(
    tracker_name: str, store: Store, status: str
) -> None:
    # An Optuna study gets another trial instead.
    trials = tracked_trial(0), tracked_trial(1)
    samples = {"table": {"caption": ["a"]}, "pictures": {"samples": png()}}
    first = Process(tracker_name, store.folder)
    first.track(trials[0], 2, status, reason="no memory", **samples)
    first.track(trials[1], -1, status, reason="no memory")
    first.tracker.close(None)
    second = Process(tracker_name, store.folder)
    for trial in trials:
        second.track(trial, 4, "finished")
    second.tracker.close(None)
    found = store.trials("s")
    for trial in trials:
        assert found[trial.id].curves == curve(4)
        assert (found[trial.id].status, found[trial.id].reason) == ("finished", "")


def test_wandb_gets_samples_without_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Offline, W&B cannot continue a run. Online, a run has all steps up to its last one.
    pytest.importorskip("wandb", reason="wandb is not installed")
    store = STORES["wandb"](tmp_path, monkeypatch)
    failed, finished = tracked_trial(0), tracked_trial(1)
    samples = {"table": {"caption": ["a"]}, "pictures": {"samples": png()}}
    process = Process("wandb", tmp_path)
    process.track(failed, 2, "failed", reason="no memory", **samples)
    process.track(finished, 2, "finished", **samples)
    process.tracker.close(None)
    found = store.trials("s")
    assert found[failed.id].reason == "no memory"
    for trial, last_step in ((failed, 2), (finished, 3)):
        assert found[trial.id].curves == curve(2)
        assert found[trial.id].files == {"table", "picture"}
        assert found[trial.id].last_step == last_step


def test_tensorboard_shows_parameters_and_metrics_of_all_trials(tmp_path: Path) -> None:
    backend_context = pytest.importorskip("tensorboard.plugins.hparams.backend_context")
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext

    trials: dict[str, list[dict[str, Any]]] = {
        "one": [{"lr": 0.1}, {"lr": 0.2, "momentum": 0.9}],
        "two": [{"beams": 4}],
    }
    for task, all_parameters in trials.items():
        tracker = load_tracker("tensorboard")
        tracker.open(sweep(str(tmp_path / task)))
        for number, parameters in enumerate(all_parameters):
            trial = TrackedTrial(id=f"{number:016x}", parameters=parameters)
            tracker.start(trial)
            tracker.log(trial, [TrackedStep(at=1, metrics={f"{task}/score": 0.5})])
            tracker.end(trial, result())
        tracker.close(None)

    runs = EventMultiplexer()
    runs.AddRunsFromDirectory(str(tmp_path))
    runs.Reload()
    provider = MultiplexerDataProvider(runs, str(tmp_path))
    plugin = backend_context.Context(TBContext(data_provider=provider, multiplexer=runs))
    shown = plugin.experiment_from_metadata(
        RequestContext(), "", True, plugin.hparams_metadata(RequestContext(), ""), None
    )
    assert {info.name for info in shown.hparam_infos} == {"lr", "momentum", "beams"}
    assert {info.name.tag for info in shown.metric_infos} == {"one/score", "two/score"}


@pytest.mark.parametrize(
    ("status", "shown"),
    [("finished", 1), ("stopped", 1), ("failed", 2), ("cancelled", None), ("interrupted", None)],
)
def test_tensorboard_shows_how_a_trial_ended(
    tmp_path: Path, status: str, shown: int | None
) -> None:
    metadata = pytest.importorskip("tensorboard.plugins.hparams.metadata")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    process = Process("tensorboard", tmp_path)
    trial = tracked_trial(0)
    process.track(trial, 1, status)
    process.tracker.close(None)
    run = EventAccumulator(str(tmp_path / "out/toy/s/tensorboard" / trial.id))
    run.Reload()
    content = run.PluginTagToContent("hparams").get(metadata.SESSION_END_INFO_TAG)
    ended = content and metadata.parse_session_end_info_plugin_data(content)
    assert (ended and ended.status) == shown


def test_reports_are_replaced(tracker_name: str, store: Store) -> None:
    for last in (1, 2):
        process = Process(tracker_name, store.folder)
        process.track(tracked_trial(last), last, "finished")
        process.tracker.close(REPORT)
    assert len(store.trials("s")) == 2
    if store.keeps_all:
        assert "0.1" in store.report("s")


def test_rerun_replaces_a_run(tracker_name: str, store: Store) -> None:
    for is_rerun, last in ((False, 4), (True, 2)):
        process = Process(tracker_name, store.folder, is_rerun=is_rerun)
        process.track(tracked_trial(), last, "finished")
        process.tracker.close(None)
    (found,) = store.trials("s").values()
    assert found.curves["error"] == curve(2)["error"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_metric_that_is_not_finite_ends_a_run(
    tracker_name: str, store: Store, value: float
) -> None:
    process, trial = Process(tracker_name, store.folder), tracked_trial()
    process.track(trial, 1)
    process.tracker.log(trial, [TrackedStep(at=2, metrics={"error": value, "r@1": 0.25})])
    process.tracker.end(trial, result(status="failed", reason=f"error is {value} at step 2"))
    process.tracker.close(None)
    (found,) = store.trials("s").values()
    assert found.curves["error"][:2] == curve(1)["error"]
    assert "failed" in found.status
    if store.keeps_all:
        assert found.curves["r@1"] == curve(2)["r@1"]


def test_sweep_is_tracked_as_its_tables(tracker_name: str, store: Store) -> None:
    command = ("sweep", "toy", "--engine", "local", "--name", "s", "--track", tracker_name)
    done = run_command(*command, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    stored, found = read_sweep("out", "toy", "s"), store.trials("s")
    rows = {row["trial_id"]: row for row in stored.rows()}
    assert found.keys() == rows.keys()
    for trial_id, one in found.items():
        own = stored.steps.filter(pc.equal(stored.steps["trial_id"], trial_id)).sort_by("at")
        values = zip(own["at"].to_pylist(), own["metric.error"].to_pylist(), strict=True)
        wanted_curve: list[Any] = [(at, pytest.approx(v, rel=1e-6)) for at, v in values]
        assert one.curves["error"] == wanted_curve
        row = rows[trial_id]
        wanted = {name: row[f"param.{name}"] for name in ("degree", "lr", "epochs")}
        for name, value in {**wanted, "seed": row["seed"]}.items():
            assert float(one.parameters[name]) == value
        assert one.status == "finished"
    if store.keeps_all:
        assert "Degrees of the polynomial" in store.report("s")


def test_aim_names_a_run_that_a_killed_process_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aim = pytest.importorskip("aim", reason="aim is not installed")
    store = STORES["aim"](tmp_path, monkeypatch)
    options = {"system_tracking_interval": None, "capture_terminal_logs": False}
    aim.Run(repo=aim.Repo(str(tmp_path), init=True), experiment="toy/s", **options).close()
    process = Process("aim", tmp_path)
    process.track(tracked_trial(), 1, "finished")
    process.tracker.close(None)
    assert store.trials("s").keys() == {tracked_trial().id}


def test_killed_sweep_continues_its_runs(tracker_name: str, store: Store, tmp_path: Path) -> None:
    # Trials hang in their second step until the first run is killed.
    options = ("--engine", "local", "--track", tracker_name, "--set=steps=4", "--set=fail=hang")
    space = "GRID = {'level': [0, 1]}\n"
    first = Run(tmp_path, *options, space=space, cwd=tmp_path)
    first.wait_for(lambda: "Tracking with" in first.process.printed())
    time.sleep(0.5)  # so that it may have sent the first steps
    first.process.kill()
    first.process.wait()
    (tmp_path / "healed").touch()
    again = Run(tmp_path, *options, space=space, cwd=tmp_path)
    assert "Resuming 2 trials" in again.end()
    store.task = "fragile"
    stored, found = read_sweep(first.out, "fragile", "s"), store.trials("s")
    for row in stored.rows():
        own = stored.steps.filter(pc.equal(stored.steps["trial_id"], row["trial_id"])).sort_by("at")
        values = zip(own["at"].to_pylist(), own["metric.total"].to_pylist(), strict=True)
        one = found.pop(row["trial_id"])
        wanted: list[Any] = [(at, pytest.approx(value, rel=1e-6)) for at, value in values]
        assert one.curves["total"] == wanted
        assert len(wanted) == 4
        assert one.status == "finished"
    assert not found
