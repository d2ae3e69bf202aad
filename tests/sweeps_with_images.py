"""Sweeps of the built-in tasks whose samples name images of a small folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image
from simulated import trial_result, write_plan

from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from results.storage.reading import Sweep
from results.storage.store import TrialResult

COLORS = ("red", "green", "blue", "orange", "purple", "gray")
IMAGES = [f"{color} &.png" for color in COLORS]


def draw_colors(folder: Path) -> Path:
    """A captioned data set of the layout ``folder:DIR``: an image of each color in each split."""
    for split in ("train", "val"):
        (folder / split).mkdir(parents=True)
        lines = []
        for color in COLORS:
            Image.new("RGB", (320, 160), color).save(folder / split / f"{color} &.png")
            captions = [f"a {color} field in {split}", f"{color}, all {color} in {split}"]
            lines.append({"image": f"{color} &.png", "captions": captions})
        text = "\n".join(json.dumps(line) for line in lines)
        (folder / split / "captions.jsonl").write_text(text)
    return folder


def write_retrieval(out: Path, data: Path) -> Sweep:
    """A sweep of retrieval with a ranking in each direction."""
    number = len(COLORS)
    empty: list[Any] = [None] * (2 * number)
    samples: dict[str, Any] = {
        "direction": ["i2t"] * number + ["t2i"] * number,
        "query": [*range(number)] * 2,
        "rank": [1.0 + n for n in range(2 * number)],
        "hit1": [1.0] + [0.0] * (2 * number - 1),
        **{
            name: list(empty)
            for name in ("image_id", "caption", "ranked_images", "ranked_captions", "ranked_right")
        },
    }
    rankings: dict[int, dict[str, Any]] = {
        2: {"ranked_captions": ["<b>a red field</b>", "a blue field"]},
        number + 3: {"ranked_images": IMAGES[2:4], "caption": "an orange <i>field</i>"},
    }
    for place, values in rankings.items():
        values |= {"image_id": IMAGES[place % number], "ranked_right": [False, True]}
        for name, value in values.items():
            samples[name][place] = value
    return _write("retrieval", out, data, samples, {"i2t_r1": 0.5}, {"batch_size": 4})


def write_captioning(out: Path, data: Path, num_trials: int = 1) -> Sweep:
    """A sweep of captioning, with the same samples in each trial."""
    samples = {
        "image": list(range(len(COLORS))),
        "image_id": IMAGES,
        "caption": [f"a {color} <b>field</b>" for color in COLORS],
        "references": [[f"a {color} field in val"] for color in COLORS],
        "cider_d": [float(n) for n in range(len(COLORS))],
    }
    return _write("captioning", out, data, samples, {"bleu4": 30.0}, {}, num_trials)


def write_both(folder: Path) -> dict[str, Sweep]:
    """A sweep of each task by its name, over one data set in the folder."""
    data, out = draw_colors(folder / "data"), folder / "out"
    return {"captioning": write_captioning(out, data), "retrieval": write_retrieval(out, data)}


def _write(
    task: str,
    out: Path,
    data: Path,
    samples: Any,
    metrics: dict[str, float],
    params: Any,
    num_trials: int = 1,
) -> Sweep:
    plan = make_plan(
        Request(task=task, out=str(out), name="s", data=f"folder:{data}", settings=params)
    )
    rows = []
    for trial in plan.trials[:num_trials]:
        row = dict(trial_result(trial, metrics, None).trial)
        rows.append(row | {"model": trial.model.name, "data": trial.data.name})
    return write_plan(plan, [TrialResult(trial=row, steps=[], samples=samples) for row in rows])
