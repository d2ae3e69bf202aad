"""Errors of a Ray that does not start or cannot be reached."""

from __future__ import annotations

import pytest

from orchestrator.engines.ray import engine
from orchestrator.engines.ray.address import unreachable


def test_a_ray_that_does_not_start_is_one_line() -> None:
    error = Exception("The current node timed out during startup.\nSee the logs.")
    assert str(unreachable(None, error)) == (
        "cannot start Ray: The current node timed out during startup; try again, or use "
        "--engine local"
    )
    assert "cannot start Ray: TimeoutError; " in str(unreachable(None, TimeoutError()))


def test_a_cluster_that_cannot_be_reached_is_named_without_its_secrets() -> None:
    message = str(unreachable("ray://user:secret@head:10001", RuntimeError("no answer")))
    assert "cannot reach the Ray cluster at ray://***@head:10001: no answer; check that" in message


def test_an_error_of_our_own_is_not_one_of_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(default_object_store: object) -> None:
        raise KeyError("ours")

    monkeypatch.setattr(engine, "local_resources", fail)
    with pytest.raises(KeyError):
        engine.connect(None)
