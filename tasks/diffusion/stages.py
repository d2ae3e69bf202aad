"""The shared work of diffusion trials: what judges the pictures of them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.contract import Source, Stage, Trial


def train_probe(*, data: Source) -> Mapping[str, Any]:
    """Everything that is fitted to real pictures, and how often real pictures count as right."""
    from tasks.diffusion import judge

    return judge.fit(data)


def probe_stage(trial: Trial) -> Stage:
    """One probe a data set."""
    return Stage(function=train_probe, args={"data": trial.data}, version="2")
