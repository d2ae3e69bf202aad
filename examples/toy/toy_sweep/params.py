"""The parameters of a trial."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """Fitting a polynomial to noisy points of a sine wave."""

    degree: int = 3
    """Degree of the polynomial. 0 to 12."""
    lr: float = 0.1
    """Step size of gradient descent. > 0."""
    epochs: int = 20
    """Passes over all points. >= 1."""
    momentum: float = 0.9
    """Fraction of the last step that is added to the next one. 0 to below 1."""

    def __post_init__(self) -> None:
        if not 0 <= self.degree <= 12:
            raise ValueError(f"`0 <= degree <= 12` must hold, but got degree={self.degree}")
        if not self.lr > 0:
            raise ValueError(f"`lr > 0` must hold, but got lr={self.lr}")
        if self.epochs < 1:
            raise ValueError(f"`epochs >= 1` must hold, but got epochs={self.epochs}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"`0 <= momentum < 1` must hold, but got momentum={self.momentum}")
