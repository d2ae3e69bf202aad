"""The checks of ``check-task``, on tasks that fail one of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toy_sweep.task import ToyTask
from toy_variants import draw, stepping, variant
from tutorial import export_method

from orchestrator.contract_suite import CHECKS, Subject, run_check, run_checks
from tasks.contract import (
    Column,
    Export,
    PerSampleMetric,
    Stage,
    State,
    Step,
)


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


def test_valid_export_passes() -> None:
    (check,) = [each for each in CHECKS if each.name == "export"]
    outcome = run_check(check, Subject(variant(export=export_method()), "toy"))
    assert (outcome.verdict, outcome.message) == ("passed", "1 file")
    task = variant(export=writing(Export(usage="print(1)")))
    outcome = run_check(check, Subject(task, "toy", settings={"epochs": 3}))
    assert (outcome.verdict, outcome.message) == ("passed", "1 file")


def naming(image_id: str) -> Any:
    """The toy task whose samples name an image; it loads the one named ``red``."""

    def load_image(self: Any, trial: Any, image_id: str) -> Any:
        return Image.new("RGB", (1, 1), image_id) if image_id == "red" else image_id

    def advance(self: Any, pack: Sequence[Any], inputs: Any, device: str) -> Any:
        return [
            (state, dataclasses.replace(step, samples={"image_id": [image_id, None]}))
            for state, step in ToyTask.advance(self, pack, inputs, device)  # type: ignore[misc]
        ]

    return variant(load_image=load_image, advance=advance, per_sample=())


def test_valid_images_pass() -> None:
    (check,) = [each for each in CHECKS if each.name == "images"]
    outcome = run_check(check, Subject(naming("red"), "toy", settings={"epochs": 3}))
    assert outcome.verdict == "passed"
    assert outcome.message.endswith("image") or outcome.message.endswith("images")


@pytest.mark.parametrize(
    ("task", "check", "message"),
    [
        (naming("blue"), "images", "load_image('blue') must return a PIL image, but returned"),
        (variant(load_image=lambda *_: None), "images", "its samples name no image"),
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
            "does not report 'error'; did you mean 'eror'?",
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
            "the bytes that one trial needs, an int of at least 0, but returned -1",
        ),
        (
            variant(normalize=lambda self, trial: dataclasses.replace(trial, seed=trial.seed + 1)),
            "normal_form",
            "normalize changes a trial that is already normalized",
        ),
        (variant(__doc__=""), "attributes", "has no docstring"),
        (variant(export=writing(None)), "export", "must return an Export, but returned None"),
        (variant(export=lambda *_: Export(usage="")), "export", "export wrote no file"),
        (variant(export=writing(Export(usage="print("))), "export", "is not Python"),
    ],
)
def test_broken_task_fails_its_check(task: Any, check: str, message: str) -> None:
    (wanted,) = [each for each in CHECKS if each.name == check]
    outcome = run_check(wanted, Subject(task, "toy", settings={"epochs": 3}))
    assert outcome.verdict == "failed"
    assert message in outcome.message


def test_check_that_depends_on_a_failed_check_is_skipped() -> None:
    task = stepping(lambda m, s, step: (s, dataclasses.replace(step, at=1)))
    checks = [check for check in CHECKS if check.name not in ("imports", "identity")]
    outcomes = run_checks(checks, Subject(task, "toy", settings={"epochs": 3}))
    verdicts = {outcome.check.name: outcome.verdict for outcome in outcomes}
    assert (verdicts["ends"], verdicts["repeats"], verdicts["packed"]) == (
        "failed",
        "skipped",
        "skipped",
    )
