"""The shared work of diffusion trials: the probe that judges them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.contract import Source, Stage, Trial


def train_probe(*, data: Source) -> Mapping[str, Any]:
    """The probe's weights, and its accuracy on real held-out images."""
    from tasks.diffusion import probe

    return probe.train_probe(data=data)


def probe_stage(trial: Trial) -> Stage:
    """One probe a data set."""
    return Stage(function=train_probe, args={"data": trial.data})
