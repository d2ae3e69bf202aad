"""The journal of a study that changes: Optuna reads the same trials from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from orchestrator.search.journal import StudyJournal, StudyMirror, read_journal
from orchestrator.search.live_journal import LiveJournal
from orchestrator.search.pruners import LEARNED


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(directions=["minimize"])


def content(trials: list[Any]) -> list[tuple[Any, ...]]:
    return [
        (t.number, t.state, t.params, t.distributions, t.values, t.intermediate_values)
        for t in trials
    ]


def test_mirror_appends_what_has_changed(tmp_path: Path, study: optuna.Study) -> None:
    path = str(tmp_path / "journal.log")
    mirror = StudyMirror(StudyJournal(path, "s", ["minimize"]))

    def check() -> None:
        before = Path(path).read_bytes()
        mirror.write(study.get_trials(deepcopy=False))
        assert Path(path).read_bytes().startswith(before)
        assert content(read_journal(path, "s")) == content(study.trials)

    check()
    first = study.ask()
    check()
    first.suggest_float("lr", 1e-5, 1e-2, log=True)  # Optuna changes the trial in place
    check()
    first.report(0.5, 1)
    first.suggest_categorical("head", ["linear", "mlp"])
    check()
    second = study.ask()
    second.suggest_float("lr", 1e-5, 1e-2, log=True)
    first.set_user_attr("note", "x")
    study.tell(first, 0.25)
    check()
    study.tell(second, state=TrialState.FAIL)
    check()
    size = Path(path).stat().st_size
    check()
    assert Path(path).stat().st_size == size


def test_running_trials_wait_at_the_end(tmp_path: Path, study: optuna.Study) -> None:
    path = str(tmp_path / "journal.log")
    with LiveJournal(study, ["minimize"], path, "s"):
        study.tell(study.ask(), 1.0)
        study.ask()
    states = [trial.state for trial in read_journal(path, "s")]
    assert states == [TrialState.COMPLETE, TrialState.WAITING]


def test_trials_of_other_sweeps_are_left_out(tmp_path: Path, study: optuna.Study) -> None:
    path = str(tmp_path / "journal.log")
    study.add_trial(create_trial(values=[1.0], user_attrs={LEARNED: "toy/other"}))
    study.add_trial(create_trial(values=[2.0]))
    StudyMirror(StudyJournal(path, "s", ["minimize"])).write(study.trials)
    assert [trial.value for trial in read_journal(path, "s")] == [2.0]


def test_error_of_the_journal_does_not_end_the_search(
    tmp_path: Path, study: optuna.Study, logged: list[str]
) -> None:
    with LiveJournal(study, ["minimize"], str(tmp_path / "missing" / "journal.log"), "s"):
        study.tell(study.ask(), 1.0)
    assert any("optuna-journal.log is incomplete" in message for message in logged)


def test_damaged_or_missing_journal_has_no_trials(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    assert read_journal(str(path), "s") == []
    StudyJournal(str(path), "s", ["minimize"])
    assert read_journal(str(path), "other") == []
    path.write_bytes(path.read_bytes() + b'{"op_code":\n{}\n')
    assert read_journal(str(path), "s") == []
