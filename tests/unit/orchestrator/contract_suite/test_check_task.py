"""Mistakes of somebody who writes a first task: each is one line that says what to fix."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paths import ROOT
from toy_sweep.task import ToyTask
from tutorial import export_method, install_first_task, install_network

from orchestrator.contract_suite import CHECKS, Subject, run_check, run_checks
from orchestrator.execution.events import Event, Failure
from orchestrator.execution.run_pack import run_pack
from orchestrator.execution.step_checks import check_advanced, check_results, misspelled_columns
from orchestrator.planning import task_calls
from orchestrator.planning.plan import KINDS, TrialFactory
from orchestrator.planning.task_checks import check_task, problems
from orchestrator.saving.checkpoint_writer import CheckpointWriter
from orchestrator.saving.checkpoints import Checkpoints
from results.storage.reading import read_sweep
from tasks.contract import (
    Column,
    Export,
    Metric,
    PerSampleMetric,
    RequestError,
    Stage,
    State,
    Step,
    Task,
    TrialError,
)


def variant(**changes: Any) -> Any:
    """The toy task with other attributes and methods."""
    return type("ToyTask", (ToyTask,), {"__doc__": ToyTask.__doc__, **changes})()


# --- declarations ---------------------------------------------------------------------------------


@dataclasses.dataclass(kw_only=True)
class Thawed:
    degree: int = 3
    lr: float = 0.1


@dataclasses.dataclass(frozen=True)
class Positional:
    degree: int = 3
    lr: float = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Odd:
    degree: list[int]
    lr: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Misfit:
    degree: int = None  # type: ignore[assignment]
    lr: float | None = "fast"  # type: ignore[assignment]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picky:
    degree: int = 3
    lr: float = 0.1

    def __post_init__(self) -> None:
        raise ValueError("degree is too high")


class Plain:
    degree = 3


ERROR = Column(key="metric.error", label="squared error")
DEGREE = Column(key="param.degree", label="degree")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Params": Thawed}, "Params is not frozen"),
        ({"Params": Positional}, "Params is not keyword-only"),
        ({"Params": Odd}, "the parameter degree has the type list[int]; a parameter is str, int"),
        ({"Params": Odd}, "the parameter lr has no default"),
        ({"Params": Misfit}, "the default of the parameter degree must be int, but is None"),
        ({"Params": Misfit}, "the default of the parameter lr must be float | None, but is 'fast'"),
        ({"Params": Picky}, "Params() with its defaults raises ValueError: degree is too high"),
        ({"Params": Plain}, "Params is no dataclass"),
        ({"Params": 3}, "Params must be a class, but is 3"),
        ({"version": 1}, "its version must be text that is not empty, but is 1"),
        ({"name": "game"}, "its name is 'game', but it is declared as 'toy'"),
        ({"metric": "error"}, "its metric must be a Metric, but is 'error'"),
        (
            {"metric": Metric(name="error", label="", direction="min")},  # type: ignore[arg-type]
            "direction of its metric must be maximize or minimize, but is 'min'",
        ),
        ({"columns": (ERROR, Column(key="param.degre", label="d"))}, "did you mean 'param.degree'"),
        ({"columns": (ERROR, Column(key="degree", label="d"))}, "must be param.<field of Params>"),
        ({"columns": (ERROR, ERROR)}, "two columns have the key 'metric.error'"),
        (
            {"columns": (DEGREE,), "per_sample": ()},
            "its metric 'error' is no column (metric.error)",
        ),
        ({"columns": ERROR}, "its columns must be a tuple of Column, but are Column("),
        ({"columns": ("metric.error",)}, "must be a tuple of Column, but one is 'metric.error'"),
        (
            {"columns": (dataclasses.replace(ERROR, format="int"),)},
            "format of the column 'squared error' must be percent",
        ),
        (
            {"per_sample": (PerSampleMetric(metric="eror", unit="point", value="v"),)},
            "per_sample names the metric 'eror', which is no column; did you mean 'error'?",
        ),
        (
            {
                "per_sample": (
                    PerSampleMetric(metric="error", unit="p", value="v", aggregate="max"),
                )
            },
            "aggregate of per_sample 'error'",
        ),
        (
            {"per_sample": PerSampleMetric(metric="error", unit="p", value="v")},
            "for a single one write (item,)",
        ),
        ({"pareto_front": ("error", "speed")}, "its pareto_front must be two metrics of its"),
        ({"pareto_front": 2}, "its pareto_front must be two metrics of its columns, but is 2"),
        ({"scoring_params": "lr"}, "its scoring_params must be a tuple of names, but are 'lr'"),
        ({"scoring_params": ("lrr",)}, "its scoring_params name 'lrr', no field of Params; did"),
        ({"shown_samples": "point"}, "its shown_samples must be a tuple of names, but are 'point'"),
        ({"step_unit": ""}, "its step_unit must be text that is not empty"),
        ({"tolerance": 1}, "its tolerance must be a number from 0 to below 1, but is 1"),
        ({"shares_steps": "no"}, "its shares_steps must be True or False, but is 'no'"),
        ({"schedule_length": "epoch"}, "is no field of Params; did you mean 'epochs'?"),
        ({"example_params": {"degree": 1}}, "its example_params must be a tuple of dicts"),
        ({"example_params": ({"degre": 1},)}, "example_params names 'degre', no field of Params"),
        ({"start": lambda self, trial: None}, "its method start takes (trial), but is called as"),
        ({"step": lambda self, trial: None}, "its method step takes (trial), but is called as"),
        ({"num_steps": 20}, "its num_steps must be a method, `def num_steps(self, trial)`"),
        ({"final": lambda self, trial: trial}, "is called as `def final(self, trial, split)`"),
        ({"warnings": ("slow",)}, "its warnings must be a method"),
        ({"estimate_memory": 1024}, "its estimate_memory must be a method"),
        ({"weights": None}, "a task without weights has has_weights = False instead"),
        ({"check": lambda self, trial: trial}, "its check is now named normalize; rename it"),
        ({"num_bytes": lambda self, trial: 1}, "its num_bytes is now named estimate_memory"),
        ({"front": ("error", "error")}, "its front is now named pareto_front"),
        ({"example_param": ({},)}, "a task has no 'example_param'; did you mean 'example_params'?"),
        ({"normalise": lambda self, trial: trial}, "did you mean 'normalize'? rename it, or"),
        ({"signature": dict}, "a task has no 'signature'; did you mean 'signatures'?"),
    ],
)
def test_a_wrong_declaration_is_refused(changes: dict[str, Any], message: str) -> None:
    assert any(message in problem for problem in problems(variant(**changes), "toy"))
    with pytest.raises(RequestError, match="the task 'toy'"):
        check_task(variant(**changes), "toy")


def test_a_sound_declaration_passes_and_a_class_does_not() -> None:
    check_task(ToyTask(), "toy")
    assert "write TASK = ToyTask()" in problems(ToyTask)[0]


class Bare(Task):
    """A task that defines nothing."""

    name = "bare"


def test_what_a_task_must_define_is_named() -> None:
    found = problems(Bare(), "bare")
    assert any(line.startswith("it has no columns; add columns =") for line in found)
    assert "it has no method step; add `def step(self, trial, state, inputs, device)`" in found
    with pytest.raises(RequestError, match=r"test_check_task\.py, line \d+\).*\d+ more"):
        check_task(Bare(), "bare")


def test_a_task_must_be_a_subclass() -> None:
    old = type("Old", (), {"check": lambda self, trial: trial, "paired": ()})()
    first, *others = problems(old, "old")
    assert first.startswith("its class Old is not a subclass of Task; write `class Old(Task):`")
    assert [line.partition(";")[0] for line in others] == [
        "its check is now named normalize",
        "its paired is now named per_sample",
    ]


@pytest.mark.parametrize(("name", "meant"), [("stage", "stages"), ("weight", "weights")])
def test_a_name_that_looks_misspelled_is_reported_unless_the_right_one_is_there(
    name: str, meant: str
) -> None:
    def method(self: Any, trial: Any, state: Any = None) -> Any:
        return {}

    bare = {"step": ToyTask.step, **{k: getattr(ToyTask, k) for k in ("Params", "metric")}}
    bare |= {"name": "toy", "columns": ToyTask.columns, "start": ToyTask.start}
    (line,) = problems(type("Misspelled", (Task,), {**bare, name: method})(), "toy")
    assert f"a task has no {name!r}; did you mean {meant!r}?" in line
    assert not problems(type("Helper", (Task,), {**bare, name: method, meant: method})(), "toy")
    assert not problems(variant(helper=method, num_points=3, steps=3, stat=2), "toy")


# --- the suite ------------------------------------------------------------------------------------


def test_the_toy_passes_every_check() -> None:
    outcomes = list(run_checks(CHECKS, Subject(ToyTask(), "toy", settings={"epochs": 3})))
    assert {outcome.verdict for outcome in outcomes} == {"passed"}


def stepping(change: Callable[[Any, State, Step], Any]) -> Any:
    """The toy task whose steps are changed."""

    def advance(self: Any, pack: Sequence[Any], inputs: Any, device: str) -> Any:
        results = ToyTask.advance(self, pack, inputs, device)
        return [
            change(member, *result) if isinstance(result, tuple) else result
            for member, result in zip(pack, results, strict=True)
        ]

    return variant(advance=advance)


def draw(*, split: str) -> dict[str, Any]:
    return {"x": np.random.default_rng().normal(size=3)}


def unseeded(member: Any, state: State, step: Step) -> Any:
    error = step.metrics["error"] + float(np.random.default_rng().normal())
    return state, dataclasses.replace(step, metrics={"error": error}, samples=None)


def forgetful(member: Any, state: State, step: Step) -> Any:
    """The state keeps less than the step reads."""
    return State(arrays={"weights": state.arrays["weights"]}, values=state.values), step


def in_place(self: Any, pack: Sequence[Any], inputs: Any, device: str) -> Any:
    results = ToyTask.advance(self, pack, inputs, device)
    for member in pack:
        member.state.arrays["weights"] += 1
    return results


def mixing(self: Any, pack: Sequence[Any], inputs: Any, device: str) -> Any:
    """A member's metric depends on how many are beside it."""
    results = ToyTask.advance(self, pack, inputs, device)
    return [
        (state, dataclasses.replace(step, metrics={"error": step.metrics["error"] + len(pack)}))
        for state, step in results  # type: ignore[misc]
    ]


def writing(returned: Any) -> Callable[..., Any]:
    """An ``export`` that writes a file and returns this."""

    def export(self: Any, trial: Any, arrays: Any, values: Any, folder: Path) -> Any:
        (folder / "weights.txt").write_text(str(arrays["weights"]))
        return returned

    return export


@pytest.mark.parametrize(
    ("install", "name", "num_rows"),
    [(install_first_task, "descent", 3), (install_network, "spiral", 4)],
)
def test_a_documented_task_passes_every_check_and_runs(
    install: Callable[[Path], None],
    name: str,
    num_rows: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    grid = ("sweep", name, "--space", "grid")
    try:
        status, out, err = main("check-task", name, capsys=capsys)
        assert (status, err) == (0, "")
        assert f"{name}: {len(CHECKS)} passed" in out
        out_folder = str(tmp_path / "runs")
        words = (*grid, "--set", "epochs=2", "--engine", "local", "--out", out_folder)
        status, out, err = main(*words, "--name", "grid", capsys=capsys)
        assert (status, err) == (0, "")
        assert len(read_sweep(out_folder, name, "grid").rows()) == num_rows
        status, out, err = main(*grid, "--data", "photos", "--dry-run", capsys=capsys)
        assert (status, out) == (2, "")
        assert f"the only data of {name} is 'none', but got 'photos'" in err
        status, out, err = main(*grid, "--final", "test", "--dry-run", capsys=capsys)
        assert (status, out) == (2, "")
        assert f"--final test: {name} cannot score another split" in err
    finally:
        sys.modules.pop(name, None)


def test_an_export_that_keeps_the_contract_passes() -> None:
    (check,) = [each for each in CHECKS if each.name == "export"]
    outcome = run_check(check, Subject(variant(export=export_method()), "toy"))
    assert (outcome.verdict, outcome.message) == ("passed", "1 file")
    task = variant(export=writing(Export(usage="print(1)")))
    outcome = run_check(check, Subject(task, "toy", settings={"epochs": 3}))
    assert (outcome.verdict, outcome.message) == ("passed", "1 file")


@pytest.mark.parametrize(
    ("task", "check", "message"),
    [
        (stepping(unseeded), "repeats", "run again, error of the trial"),
        (
            stepping(lambda m, s, step: (s, dataclasses.replace(step, at=1))),
            "ends",
            "Step.at must increase from step to step, but it is 1 after 1",
        ),
        (
            stepping(lambda m, s, step: (s, dataclasses.replace(step, at=step.at + 1))),
            "ends",
            "but num_steps says that the last step is",
        ),
        (
            stepping(lambda m, s, step: (s, dataclasses.replace(step, metrics={"eror": 1.0}))),
            "ends",
            "has no 'error'; did you mean 'eror'?",
        ),
        (
            stepping(
                lambda m, s, step: (s, dataclasses.replace(step, metrics={"error": float("nan")}))
            ),
            "ends",
            "error is nan at step 1",
        ),
        (
            variant(columns=(*ToyTask.columns, Column(key="metric.loss", label="loss"))),
            "columns",
            "no step reports the metric of the column 'metric.loss'",
        ),
        (
            stepping(lambda m, s, step: (s, dataclasses.replace(step, samples=None))),
            "samples",
            "per_sample is declared, but the last step has no samples",
        ),
        (
            stepping(
                lambda m, s, step: (s, dataclasses.replace(step, metrics={"error": step.at * 1.0}))
            ),
            "samples",
            "the samples give error =",
        ),
        (
            variant(
                per_sample=(PerSampleMetric(metric="error", unit="points", value="squared_error"),)
            ),
            "samples",
            "did you mean 'point'?",
        ),
        (stepping(forgetful), "ends", "KeyError: 'velocity'"),
        (variant(advance=in_place), "leaves_state", "advance changed the arrays"),
        (variant(advance=mixing), "packed", "in a pack, error of the trial"),
        (
            variant(stages=lambda self, trial: [Stage(function=draw, args={"split": "val"})]),
            "stages_repeat",
            "gave another value the second time",
        ),
        (
            variant(estimate_memory=lambda self, trial: -1),
            "packing",
            "must return an int of at least 0, the bytes that one trial needs, but returned -1",
        ),
        (
            variant(normalize=lambda self, trial: dataclasses.replace(trial, seed=trial.seed + 1)),
            "normal_form",
            "normalize changes a trial that it returned before",
        ),
        (variant(__doc__=""), "attributes", "has no docstring"),
        (variant(export=writing(None)), "export", "must return an Export, but returned None"),
        (variant(export=lambda *_: Export(usage="")), "export", "export wrote no file"),
        (variant(export=writing(Export(usage="print("))), "export", "is no Python"),
    ],
)
def test_the_suite_finds(task: Any, check: str, message: str) -> None:
    (wanted,) = [each for each in CHECKS if each.name == check]
    outcome = run_check(wanted, Subject(task, "toy", settings={"epochs": 3}))
    assert outcome.verdict == "failed"
    assert message in outcome.message


def test_a_check_that_needs_a_failed_one_is_skipped() -> None:
    task = stepping(lambda m, s, step: (s, dataclasses.replace(step, at=1)))
    outcomes = run_checks(CHECKS, Subject(task, "toy", settings={"epochs": 3}))
    verdicts = {outcome.check.name: outcome.verdict for outcome in outcomes}
    assert (verdicts["ends"], verdicts["repeats"], verdicts["packed"]) == (
        "failed",
        "skipped",
        "skipped",
    )


UNEQUAL: dict[str, Any] = {"a": [1], "b": []}

# --- what planning and engines refuse -------------------------------------------------------------


def make_factory(task: Any) -> TrialFactory:
    model, data = ToyTask().resolve("polynomial", "sine")
    return TrialFactory(task=task, model=model, data=data, fixed={})


def fail(*_: Any) -> Any:
    raise KeyError("lr")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalize": lambda self, trial: None}, "must return the trial (`return trial`), but"),
        (
            {"normalize": fail},
            r"normalize of the task 'toy' failed at \S+, line \d+: KeyError: 'lr'",
        ),
        ({"stages": lambda self, trial: [draw]}, "must return a list of Stage"),
        (
            {"stages": lambda self, trial: [Stage(function=lambda: None)]},
            "must be defined at the level of its module",
        ),
        (
            {"stages": lambda self, trial: [Stage(function=draw, args={"split": {1}})]},
            "args of the stage draw of 'toy' must be plain values",
        ),
        ({"pack_key": lambda self, trial: []}, "must return what can be hashed"),
        ({"estimate_memory": lambda self, trial: None}, "must return an int of at least 0, the"),
    ],
)
def test_a_method_that_fails_while_planning_is_one_line(
    changes: dict[str, Any], message: str
) -> None:
    task = variant(**changes)
    with pytest.raises(RequestError) as refused:
        task_calls.try_methods(task, make_factory(task).trial({}, 0))
    assert re.search(message if "\\" in message else re.escape(message), str(refused.value))


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (
            stepping(lambda m, s, step: (s, dataclasses.replace(step, at=2))),
            "Step.at must increase from step to step, but it is 2 after 2",
        ),
        (stepping(lambda m, s, step: s), "must return (State, Step) for each member, but returned"),
        (
            stepping(lambda m, s, step: (s, dataclasses.replace(step, metrics={"error": "low"}))),
            "the metric 'error' must be a number, but is 'low' at step 1",
        ),
        (
            stepping(
                lambda m, s, step: (s, dataclasses.replace(step, samples={"a": [1], "b": []}))
            ),
            "columns of Step.samples must have equal lengths",
        ),
        (
            variant(advance=lambda *_: []),
            "(State, Step) or Exception for each of the 1 members",
        ),
        (variant(start=lambda *_: {"w": 1}), "start must return a State, but returned {'w': 1}"),
        (
            stepping(lambda m, s, step: (State(arrays={"weights": [1, "a"]}), step)),
            "the state cannot be saved",
        ),
        (
            stepping(lambda m, s, step: (State(values={"rng": object()}), step)),
            "the state cannot be saved",
        ),
    ],
)
def test_a_wrong_step_fails_its_trial_with_a_reason(task: Any, reason: str, tmp_path: Path) -> None:
    trial = make_factory(task).trial({"epochs": 3}, 0)
    inputs = Subject(ToyTask(), "toy").inputs
    run = run_pack(
        task, [trial], inputs, "cpu", CheckpointWriter(checkpoints=Checkpoints(str(tmp_path)))
    )
    events: list[Event] = []
    try:
        events += next(run)
        while True:
            events += run.send(set())
    except StopIteration:
        pass
    assert isinstance(events[-1].outcome, Failure)
    assert reason in events[-1].outcome.reason


def test_steps_are_plain_numbers_and_results_are_counted() -> None:
    torch = pytest.importorskip("torch")
    step = Step(at=np.int64(2), metrics={"a": torch.tensor(0.5), "b": np.float32(1)})  # type: ignore[arg-type, dict-item]
    _, plain = check_advanced((State(), step), 1)
    assert (plain.at, plain.metrics) == (2, {"a": 0.5, "b": 1.0})
    assert {type(value) for value in plain.metrics.values()} == {float}
    with pytest.raises(TrialError, match=r"Step\.at must be an integer"):
        check_advanced((State(), Step(at=1.5, metrics={})), None)  # type: ignore[arg-type]
    with pytest.raises(TrialError, match="but returned None"):
        check_results(None, [])
    assert Bare().advance([], {}, "cpu") == []


def test_a_column_that_looks_misspelled_is_named_and_a_missing_one_is_not() -> None:
    columns = (ERROR, Column(key="metric.acc", label=""), Column(key="metric.novel", label=""))
    (line,) = misspelled_columns(columns, {"error", "accuracy", "bleu1"})
    assert "metric.acc is empty" in line
    assert "'accuracy'" in line
    assert not misspelled_columns(columns, {"error", "acc", "bleu1"})


# --- packages on disk -----------------------------------------------------------------------------


class Package:
    """An installed package that declares a task, in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / "mine"
        self.folder.mkdir(parents=True)
        for name in ("__init__", "params", "task", "space"):
            source = ROOT / "examples" / "toy" / "toy_sweep" / f"{name}.py"
            text = source.read_text().replace("toy_sweep", "mine")
            (self.folder / f"{name}.py").write_text(text.replace('name = "toy"', 'name = "mine"'))
        self.declare("mine.task:TASK", "mine.space")

    def declare(self, task: str, space: str = "") -> None:
        info = self.root / "mine-0.1.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 0.1\n")
        text = f"[orchestrator.tasks]\nmine = {task}\n"
        text += f"[orchestrator.search_spaces]\nmine = {space}\n" if space else ""
        (info / "entry_points.txt").write_text(text)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Package(tmp_path)
    for name in [each for each in sys.modules if each.split(".")[0] == "mine"]:
        del sys.modules[name]


def main(*args: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    from orchestrator.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["orchestrator", *args])
        patch.setenv("COLUMNS", "300")
        with pytest.raises(SystemExit) as end:
            main()
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


BROKEN: list[tuple[Callable[[Package], None], str]] = [
    (
        lambda p: p.edit("task.py", "def start(self", "def start(self("),
        "task.py, line 72: invalid syntax",
    ),
    (
        lambda p: p.edit("task.py", "import numpy as np", "import numpyy as np"),
        "task.py, line 11: ModuleNotFoundError: No module named 'numpyy'; install it, or fix",
    ),
    (
        lambda p: p.edit("task.py", "    TrialError,", "    TrialEror,"),
        "task.py, line 13: ImportError",
    ),
    (lambda p: p.edit("task.py", "TASK = ToyTask()", "TSK = 1"), "end the file with `TASK = Your"),
    (lambda p: p.edit("task.py", "TASK = ToyTask()", "TASK = ToyTask"), "write TASK = ToyTask()"),
    (lambda p: p.edit("task.py", "TASK = ToyTask()", "raise SystemExit"), "SystemExit"),
    (lambda p: p.declare("mine.tsk:TASK"), "names the module mine.tsk, and there is no mine.tsk"),
    (lambda p: p.edit("params.py", "frozen=True, ", ""), "params.py, line 8"),
    (
        lambda p: p.edit("task.py", "def pack_key", "def pack_keys"),
        "a task has no 'pack_keys'; did you mean 'pack_key'? rename it, or start its name with _",
    ),
]


@pytest.mark.parametrize(("damage", "message"), BROKEN, ids=[message[:30] for _, message in BROKEN])
def test_a_broken_package_is_one_line_and_breaks_no_other(
    package: Package,
    damage: Callable[[Package], None],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(package)
    status, out, err = main("sweep", "mine", "--dry-run", capsys=capsys)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert message in err
    status, out, err = main("tasks", capsys=capsys)
    assert (status, err) == (0, "")
    assert message in " ".join(out.split())
    assert "toy  Fit a polynomial" in out
    assert main("check-task", "mine", capsys=capsys)[0] in (1, 2)


def test_check_task_prints_a_line_a_check(
    package: Package, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = main("check-task", "mine", "--set", "epochs=2", capsys=capsys)
    assert (status, err) == (0, "")
    assert out.count("passed ") >= len(CHECKS)
    assert f"mine: {len(CHECKS)} passed" in out
    package.edit("task.py", "at=epoch", "at=1")
    for name in [each for each in sys.modules if each.split(".")[0] == "mine"]:
        del sys.modules[name]
    status, out, err = main("check-task", "mine", "--set", "epochs=2", capsys=capsys)
    assert (status, err) == (1, "")
    assert "FAILED" in out
    assert "at must increase" in out
    assert "fix: each step needs a larger `at`" in out


def test_a_task_without_a_report_uses_its_only_space(
    package: Package, capsys: pytest.CaptureFixture[str]
) -> None:
    space = package.folder / "space.py"
    space.write_text("GRID = {'degree': [1, 2]}\n")
    status, out, err = main("sweep", "mine", "--dry-run", capsys=capsys)
    assert (status, err) == (0, "")
    assert "mine offers one space, GRID: running --space grid" in out
    assert "2 trials" in out
    for text, message in (
        ("GRID = {'degree': [1]}\ndef search(trial): ...\n", "with --space grid or --space search"),
        ("grid = {}\n", "space.py must define REPORT, GRID or search, but defines none of them"),
        ("GRID = {", "space.py, line 1: '{' was never closed; fix the file"),
    ):
        sys.modules.pop("mine.space", None)
        space.write_text(text)
        status, out, err = main("sweep", "mine", "--dry-run", capsys=capsys)
        assert (status, out) == (2, "")
        assert message in err


def test_a_task_without_a_space_takes_a_file(
    package: Package, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    package.declare("mine.task:TASK")
    status, _, err = main("sweep", "mine", "--dry-run", capsys=capsys)
    assert status == 2
    assert "has no search space of its own: give one with --space FILE.py" in err
    assert "spaces: none (" in main("tasks", capsys=capsys)[1]
    (tmp_path / "s.py").write_text("GRID = {'degree': [1, 2]}\n")
    options = ("--space", str(tmp_path / "s.py"), "--dry-run")
    assert main("sweep", "mine", *options, capsys=capsys)[0] == 0


@pytest.mark.parametrize("task", ["retrieval", "captioning", "diffusion"])
def test_a_copy_of_a_shipped_space_file_works(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = tmp_path / "copied.py"
    copied.write_text((ROOT / "search_spaces" / f"{task}.py").read_text())
    status, out, choices = main("sweep", task, "--space", str(copied), "--dry-run", capsys=capsys)
    assert (status, out) == (2, "")
    for kind in KINDS:
        assert f"--space {copied}:{kind}" in choices
        picked = ("sweep", task, "--space", f"{copied}:{kind}", "--dry-run", "--pruner", "none")
        words = picked if kind == "search" else picked[:-2]
        status, out, err = main(*words, capsys=capsys)
        assert (status, err) == (0, "")
        assert "trial" in out


# --- trials that failed before --------------------------------------------------------------------


def test_the_same_command_after_failures_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = tmp_path / "s.py"
    out = str(tmp_path / "runs")
    args = ("sweep", "toy", "--space", str(space), "--engine", "local", "--out", out)
    space.write_text("GRID = {'lr': [90.0, 80.0, 70.0], 'epochs': [30]}\n")
    assert main(*args, capsys=capsys)[0] == 1
    status, text, _ = main(*args, capsys=capsys)
    assert status == 1
    assert "All 3 trials failed in an earlier run and did not run again." in text
    assert "The first reason: " in text
    assert "`show toy/s " in text
    assert f"--out {out}`; add --retry-failed" in text
    assert "done already" not in text
    trial = text.split("`show toy/s ")[1].split()[0]
    assert main("show", "toy/s", trial, "--out", out, capsys=capsys)[0] == 0
    space.write_text("GRID = {'lr': [90.0, 0.1], 'epochs': [30]}\n")
    status, text, _ = main(*args, capsys=capsys)
    assert "1 of 2 trials failed in an earlier run" in text
    assert "failed in an earlier run" not in main(*args, "--retry-failed", capsys=capsys)[1]
    space.write_text("GRID = {'lr': [0.1], 'epochs': [30]}\n")
    assert "Every trial of this sweep is done already" in main(*args, capsys=capsys)[1]
