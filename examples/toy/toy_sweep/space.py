"""The search spaces of the toy task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.space import Claim, Row, Scalar, Table

if TYPE_CHECKING:
    import optuna

# The rows of a table, with a published number to compare with (here the noise's variance, 0.1^2).
REPORT = (
    Table(
        title="Degrees of the polynomial",
        rows=tuple(
            Row(params={"degree": degree}, report={"metric.error": 0.01} if degree == 5 else {})
            for degree in (1, 3, 5, 9)
        ),
    ),
)

# `check` tests these claims on the results; see docs/how-to/check-claims.md.
LINE, CUBIC, FIFTH, NINTH = REPORT[0].rows
CLAIMS = (
    Claim("a cubic fits the sine better than a line", CUBIC, "<", LINE),
    Claim("degree 9 fits no better than degree 5", NINTH, ">=", FIFTH, margin=0.001),
)

GRID = {"degree": [1, 3, 5, 9], "lr": [0.01, 0.1, 0.3], "momentum": [0.0, 0.9]}


def search(trial: optuna.Trial) -> dict[str, Scalar]:
    """Suggest the degree and the step size."""
    return {
        "degree": trial.suggest_int("degree", 0, 12),
        "lr": trial.suggest_float("lr", 1e-3, 1.0, log=True),
    }
