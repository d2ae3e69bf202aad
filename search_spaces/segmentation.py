"""Semantic segmentation: a small baseline of our own.

The report names segmentation but gives no numbers for it, so no row has published values. The
claims were fixed before anything ran. After a first run, the number of epochs and of rows was
reduced, only to save time. All train on the first 512 images; the sweep takes about 95 seconds of
processor time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.space import Claim, Row, Scalar, Table, Value

if TYPE_CHECKING:
    import optuna

PROTOCOL: dict[str, Scalar] = {"num_images": 512, "epochs": 4}


def _row(label: str | None = None, **params: Scalar) -> Row:
    return Row(params={**PROTOCOL, **params}, label=label)


LINEAR = _row()
UPERNET = _row(head="upernet")
DICE = _row(loss="dice")
AUGMENTED = _row(augment=True)
SMALL_RATE = _row(lr=1e-4)
LARGE_RATE = _row(lr=1e-2)

REPORT = (
    Table(
        title="Heads and losses on a frozen backbone (our baseline)",
        rows=(LINEAR, DICE, _row(loss="focal"), UPERNET, _row(head="upernet", loss="dice")),
    ),
    Table(
        title="Training a linear head (our baseline)",
        rows=(LINEAR, SMALL_RATE, LARGE_RATE, AUGMENTED),
    ),
)

CLAIMS = (
    Claim("a UPerNet head beats a linear one", UPERNET, ">", LINEAR),
    Claim(
        "a UPerNet head finds boundaries better",
        Value(UPERNET, "boundary_f"),
        ">",
        Value(LINEAR, "boundary_f"),
    ),
    Claim("dice loss has a higher mean IoU than cross-entropy", DICE, ">", LINEAR),
    Claim("augmentation improves a linear head", AUGMENTED, ">", LINEAR),
    Claim("a learning rate of 1e-4 is too small", SMALL_RATE, "<", LINEAR),
)

GRID = {
    "num_images": [512],
    "augment": [True],
    "head": ["linear", "upernet"],
    "loss": ["cross_entropy", "dice"],
    "lr": [1e-3, 1e-2],
    "weight_decay": [1e-2, 1e-1],
    "crop_size": [64, 96],
}


def search(trial: optuna.Trial) -> dict[str, Scalar]:
    """The ranges around the grid, on whole images, so that all trials share their features.

    The length is fixed, because the learning rate falls over a trial's own epochs.
    """
    params: dict[str, Scalar] = {
        **PROTOCOL,
        "head": trial.suggest_categorical("head", ["linear", "upernet"]),
        "loss": trial.suggest_categorical("loss", ["cross_entropy", "dice", "focal"]),
        "lr": trial.suggest_float("lr", 1e-4, 1e-1, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-4, 1.0, log=True),
    }
    if params["loss"] == "focal":
        params["focal_gamma"] = trial.suggest_float("focal_gamma", 0.5, 5.0)
    return params
