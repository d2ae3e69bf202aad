"""Finding trackers by name, and naming them in a request."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tracked import install_tracker

from orchestrator.request import Request
from orchestrator.tracking.finding import BUILT_IN, check_trackers, load_tracker
from tasks.contract import RequestError


def test_unknown_tracker_is_refused_with_a_suggestion() -> None:
    with pytest.raises(RequestError, match="no tracker named 'wandbb'; did you mean 'wandb'"):
        check_trackers(("wandbb",))


def test_tracker_is_given_once() -> None:
    with pytest.raises(RequestError, match="--track wandb is given twice"):
        check_trackers(("wandb", "wandb"))


@pytest.mark.parametrize("name", BUILT_IN)
def test_missing_package_has_its_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, BUILT_IN[name], None)
    extra = "search" if name == "optuna" else f"track-{name}"
    with pytest.raises(RequestError, match=rf"--track {name} needs .*pip install '.*\[{extra}\]'"):
        load_tracker(name)


def test_folder_of_results_is_no_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "wandb").mkdir()  # as W&B leaves it in the current folder
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with pytest.raises(RequestError, match="--track wandb needs wandb, which is not installed"):
        load_tracker("wandb")


def test_two_packages_must_not_declare_one_tracker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for package in ("first", "second"):
        install_tracker(monkeypatch, tmp_path, "twice", "class Mine: pass", package)
    with pytest.raises(RequestError, match="two packages declare 'twice'"):
        load_tracker("twice")


def test_request_in_a_file_names_trackers() -> None:
    assert Request.from_dict({"task": "toy", "track": "mlflow"}).track == ("mlflow",)
    both = Request.from_dict({"task": "toy", "track": ["mlflow", "aim"]})
    assert both.track == ("mlflow", "aim")
    assert both.to_dict()["track"] == ["mlflow", "aim"]
    with pytest.raises(RequestError, match="track of a request must be a tracker"):
        Request.from_dict({"task": "toy", "track": 3})
