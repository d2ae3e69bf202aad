"""The stages of diffusion trials: fit the judge of generated images once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.contract import Source, Stage, Trial


def train_probe(*, data: Source) -> Mapping[str, Any]:
    """Fit the judge to real images; see ``judge.fit``."""
    from tasks.diffusion import judge

    return judge.fit(data)


def probe_stage(trial: Trial) -> Stage:
    """Return the stage that fits the judge, one per data set."""
    return Stage(function=train_probe, args={"data": trial.data}, version="4")
