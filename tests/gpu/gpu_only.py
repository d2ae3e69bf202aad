"""Checks that need a GPU: memory, and what happens without enough of it."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tiny_models
import torch
from gpu.any_device import out_of_memory
from gpu.peaks import peak_bytes
from gpu.running import exact_float32, inputs_of, stack_warnings
from gpu.subjects import (
    TRAINING,
    captioned,
    make_trials,
    masked,
)
from retrieval_trials import make_inputs, make_trial
from tiny_models import save_tiny

from tasks.contract import Inputs, Member, Task, Trial
from tasks.diffusion import training as diffusion_training
from tasks.diffusion.task import TASK as DIFFUSION
from tasks.retrieval.task import TASK as RETRIEVAL
from tasks.segmentation.task import TASK as SEGMENTATION

#: Peak / estimate of an epoch of a trial that runs alone. Below, the estimate is useless; above, it
#: misses copies of the weights. Retrieval estimates 4 copies and makes up to 10 (the state before
#: and after with two moments, a copy of it in the optimizer, and gradients): 2.5. Libraries add
#: work space of at most 64 MiB.
PEAK_RANGE = (0.3, 3.0)
WORK_SPACE = 64 * 2**20


# --- memory ---------------------------------------------------------------------------------------


def estimates_match_peaks(device: str, folder: Path) -> str:
    """The peak of an epoch of larger networks is within ``PEAK_RANGE`` of the estimate."""
    figures = []
    for name, task, trial in _large_trials(folder):
        inputs: Inputs = {} if task is DIFFUSION else inputs_of(task, [trial], device)

        def train(task: Task = task, trial: Trial = trial, inputs: Inputs = inputs) -> None:
            if task is DIFFUSION:  # without the judge
                state = diffusion_training.start(trial, device)
                diffusion_training.train_epoch(trial, state, device)
                return
            member = Member(trial=trial, state=task.start(trial, inputs, device))
            for result in task.advance([member], inputs, device):
                assert not isinstance(result, Exception), result

        train()
        peak, estimate = peak_bytes(device, train), task.estimate_memory(trial)
        low, high = PEAK_RANGE
        assert low * estimate <= peak <= high * estimate + WORK_SPACE, (name, peak, estimate)
        figures.append(f"{name} {peak / 2**20:.0f} of {estimate / 2**20:.0f} MiB")
    return ", ".join(figures)


def _large_trials(folder: Path) -> Iterator[tuple[str, Task, Trial]]:
    """Yield trials whose weights or activations take more than a library's work space."""
    before = dict(tiny_models.TINY), dict(tiny_models.VISION)
    larger = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 8}
    try:
        tiny_models.TINY.update(larger)
        tiny_models.VISION.update(larger)
        clip = str(save_tiny("clip", folder / "large-clip"))
        vit = str(save_tiny("vit", folder / "large-vit"))
    finally:
        for kept, values in zip((tiny_models.TINY, tiny_models.VISION), before, strict=True):
            kept.update(values)
    common = TRAINING | {"trainable": "full", "batch_size": 8, "augment": False}
    (trial,) = make_trials(RETRIEVAL, clip, captioned(folder), common, [{}])
    yield "retrieval full", RETRIEVAL, trial
    common = TRAINING | {"trainable": "full", "batch_size": 8, "image_size": 128}
    (trial,) = make_trials(SEGMENTATION, vit, masked(folder), common, [{}])
    yield "segmentation full", SEGMENTATION, trial
    common = {"features": 64, "draws": 256, "batch_size": 128, "precision": "float32"}
    (trial,) = make_trials(DIFFUSION, "unet", "concepts", common, [{}])
    yield "diffusion", DIFFUSION, trial


# --- out of memory --------------------------------------------------------------------------------


def full_device_splits_packs(device: str, folder: Path) -> str:
    """Members that fit alone, but not together, run one by one; one that is too large fails."""
    gc.collect()
    torch.cuda.empty_cache()
    with _memory_limit(device, torch.cuda.memory_reserved(device) + 400 * 2**20):
        return out_of_memory(device, folder / "full", (200, 4000, 300, 250))


def stack_without_memory_trains_members_alone(device: str, folder: Path) -> str:
    """Heads that do not fit as a stack are trained one by one, to the same losses."""
    rates = [10**-power for power in (2.0, 2.2, 2.4, 2.6, 2.8, 3.0, 3.2, 3.4)]
    common: dict[str, Any] = {"start": "random", "head": "mlp", "embed_dim": 4096, "epochs": 1}
    trials = [make_trial(lr=lr, **common) for lr in rates]
    # With other batch sizes, no two heads are stacked: the memory of members one by one.
    apart = [make_trial(lr=lr, batch_size=8 + n, **common) for n, lr in enumerate(rates)]
    inputs = make_inputs(trials[0])
    rng = np.random.default_rng(0)
    for value in inputs.values():
        if "features" in value:
            number = len(value["features"])
            value["features"] = rng.normal(size=(number, 1024)).astype(np.float32)
        else:
            value["widths"] = np.array([1024, 1024])

    def train(members: Sequence[Trial]) -> list[float]:
        pack = [Member(trial=t, state=RETRIEVAL.start(t, inputs, device)) for t in members]
        losses = []
        for result in RETRIEVAL.advance(pack, inputs, device):
            assert not isinstance(result, Exception), result
            losses.append(result[1].metrics["loss"])
        return losses

    with exact_float32():
        train(trials)
        expected = train(trials)
        together = peak_bytes(device, lambda: train(trials))
        alone = peak_bytes(device, lambda: train(apart))
        assert alone < together, (alone, together)
        limit = torch.cuda.memory_allocated(device) + (alone + together) // 2
        with _memory_limit(device, limit), stack_warnings() as warnings:
            found = train(trials)
    assert len(warnings) == 1, warnings
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    return f"{alone / 2**20:.0f} MiB alone, {together / 2**20:.0f} MiB as a stack"


@contextlib.contextmanager
def _memory_limit(device: str, num_bytes: int) -> Iterator[None]:
    """Limit the memory that torch may take from the device, with what it has taken."""
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(num_bytes / total, device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


CHECKS = (
    estimates_match_peaks,
    full_device_splits_packs,
    stack_without_memory_trains_members_alone,
)
