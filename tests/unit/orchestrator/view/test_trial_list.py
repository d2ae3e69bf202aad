"""What the list of trials remembers of a long run."""

from __future__ import annotations

import pytest

from orchestrator.view import trial_list
from orchestrator.view.browser import ListedTrial
from orchestrator.view.trial_list import TrialList, thin_out


def listed(trial_id: str) -> ListedTrial:
    return ListedTrial(trial_id=trial_id, parameters="", status="finished")


def test_only_the_latest_ended_trials_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_list, "MAX_ENDED", 2)
    found = TrialList()
    found.stepped("running", 1, 0.5)
    for name in "abc":
        found.stepped(name, 1, 0.5)
        found.ended(listed(name))
    assert [trial.trial_id for trial in found.all([])] == ["c", "b"]
    assert found.curve("running")
    assert found.curve("a") == []
    assert found.curve("c") == [(1, 0.5)]


def test_long_curve_keeps_its_shape_and_its_last_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_list, "MAX_POINTS", 10)
    found = TrialList()
    for at in range(1000):
        found.stepped("a", at, float(at))
        assert found.last_value("a") == at
    curve = found.curve("a")
    assert 5 <= len(curve) <= 10
    assert curve == sorted(curve)
    assert curve[-1] == (999, 999.0)
    assert curve[0][0] < 500


def test_repeated_steps_replace_points() -> None:
    found = TrialList()
    for at, value in ((1, 0.1), (2, 0.2), (3, 0.3), (2, 0.25)):
        found.stepped("a", at, value)
    assert found.curve("a") == [(1, 0.1), (2, 0.25)]
    assert found.last_value("a") == 0.25
    assert found.last_value("b") is None


@pytest.mark.parametrize("number", [0, 1, 7, 8, 9, 100])
def test_a_thinned_curve_keeps_its_last_point(number: int) -> None:
    curve = [(float(at), at / 2) for at in range(number)]
    found = thin_out(curve, 8)
    assert len(found) <= 8
    assert set(found) <= set(curve)
    assert list(found) == sorted(found)
    assert found[-1:] == tuple(curve[-1:])
    if number <= 8:
        assert list(found) == curve
