"""The toy task as one function: fit a polynomial to a noisy sine wave."""

import numpy as np

import orchestrator as orc

GRID = {"degree": [1, 3, 5, 9]}


def draw_points(split: str):
    """Return the points ``x`` and ``y`` [200] of a sine wave with noise."""
    rng = np.random.default_rng([200, len(split)])
    x = rng.uniform(-1, 1, 200)
    return {"x": x, "y": np.sin(3 * x) + rng.normal(0, 0.1, 200)}


@orc.task(metric="error", maximize=False, steps="epochs")
def polynomial(
    degree: int = 3,
    lr: float = 0.1,
    epochs: int = 20,
    momentum: float = 0.9,
    *,
    seed: int,
    train=orc.shared(draw_points, split="train"),
    val=orc.shared(draw_points, split="val"),
):
    """Fit the polynomial by gradient descent with momentum on the squared error."""
    start = np.random.default_rng(seed).normal(0, 0.1, degree + 1)
    state = orc.checkpoint({"epoch": 0, "weights": start, "velocity": np.zeros(degree + 1)})
    powers, val_powers = (np.vander(p["x"], degree + 1, increasing=True) for p in (train, val))
    while state["epoch"] < epochs:
        for _ in range(10):
            gradient = powers.T @ (powers @ state["weights"] - train["y"]) / len(powers)
            state["velocity"] = momentum * state["velocity"] - lr * gradient
            state["weights"] = state["weights"] + state["velocity"]
        state["epoch"] += 1
        errors = (val_powers @ state["weights"] - val["y"]) ** 2
        orc.samples(error=errors)
        yield {"error": errors.mean()}
