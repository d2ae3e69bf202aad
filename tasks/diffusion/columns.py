"""The columns and the metrics per sample of the diffusion task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.contract import Column, PerSampleMetric
from tasks.datasets import concepts

SCORES = {"accuracy": "accuracy", "attributes": "attributes", "probe": "probe-only accuracy"}
SAMPLED = {"accuracy": "right", "attributes": "share_right", "probe": "all_right"}
CHARTS = {
    "accuracy": "accuracy, right and near real",
    "probe": "accuracy by the probe alone",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedCondition:
    """A condition as a column: its metrics are ``accuracy_<name>`` and others."""

    name: str
    label: str
    where: Mapping[str, str]  # selects its images in the samples


BUILT_IN = tuple(
    NamedCondition(
        name=condition,
        label=f"{condition} ({group})",
        where={"condition": condition, "group": group},
    )
    for group, conditions in (("seen", concepts.SEEN), ("unseen", concepts.UNSEEN))
    for condition in conditions
)

_SUMMARY = (
    Column(key="param.network", label="network"),
    Column(key="param.features", label="features", format="integer"),
    Column(key="param.epochs", label="epochs", format="integer"),
    Column(key="param.lr", label="lr", format="scientific"),
    Column(key="param.schedule", label="schedule"),
    Column(key="param.prediction", label="prediction"),
    Column(key="param.guidance", label="guidance", format="number"),
    Column(key="param.sampler", label="sampler"),
    Column(key="param.sampling_steps", label="sampling steps", format="integer"),
    *(
        Column(key=f"metric.{group}_{name}", label=f"{group} {label}", format="percent")
        for name, label in SCORES.items()
        for group in ("unseen", "seen")
    ),
    *(
        Column(key=f"metric.{group}kid{end}", label=label, format="number", detail=end != "")
        for group, label in (("unseen_", "unseen KID"), ("seen_", "seen KID"), ("", "KID"))
        for end in ("", "_low", "_high")
    ),
    Column(key="metric.probe_accuracy", label="probe on real", format="percent"),
    Column(key="metric.real_accuracy", label="accuracy of real", format="percent"),
    Column(key="metric.loss", label="loss", format="number", chart="loss", log=True),
)


def make_columns(conditions: Sequence[NamedCondition]) -> tuple[Column, ...]:
    """Return the columns of a sweep over these conditions."""
    details = (
        Column(
            key=f"metric.{name}_{condition.name}",
            label=f"{label} of {condition.label}",
            format="percent",
            detail=True,
            chart=CHARTS.get(name, ""),
        )
        for name, label in SCORES.items()
        for condition in conditions
    )
    return (*_SUMMARY, *details)


def make_per_sample(conditions: Sequence[NamedCondition]) -> tuple[PerSampleMetric, ...]:
    """Return how to compute the accuracies of groups and conditions from the samples."""
    groups = (
        PerSampleMetric(
            metric=f"{group}_{name}", unit="sample", value=column, where={"group": group}
        )
        for group in ("unseen", "seen")
        for name, column in SAMPLED.items()
    )
    each = (
        PerSampleMetric(
            metric=f"{name}_{condition.name}", unit="sample", value=column, where=condition.where
        )
        for condition in conditions
        for name, column in SAMPLED.items()
    )
    return (*groups, *each)
