"""Small trials of every task, and how far results on two devices may differ.

Tolerances hold for float32 without TF32. Both devices add the same numbers in another order, so
losses agree to some 1e-6 in a step, and AdamW divides that by gradients near zero: 0.5 % leaves
room for a few epochs. Scores jump where a near-tie flips; one of 20 samples may.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from captioned_folder import draw_folder
from masked_folders import draw_masked_folder
from tiny_captioners import save_captioner
from tiny_models import save_tiny

from tasks.captioning.task import TASK as CAPTIONING
from tasks.contract import Step, Task, Trial
from tasks.diffusion.task import TASK as DIFFUSION
from tasks.retrieval.task import TASK as RETRIEVAL
from tasks.segmentation.task import TASK as SEGMENTATION

LOSS_TOLERANCE = 5e-3  # relative
SCORE_TOLERANCE = 0.05  # absolute, of scores from 0 to 1; relative, of larger ones
BFLOAT16_TOLERANCE = 0.1  # of losses, relative: eight bits of precision over a few epochs


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Trials that form a pack, and what of their last step is compared."""

    name: str
    task: Task
    trials: tuple[Trial, ...]
    scores: tuple[str, ...] = ()  # metrics besides the loss
    caption_share: float | None = None  # at least this share of captions must be equal

    def at(self, precision: str) -> Subject:
        """Return the same trials in another precision."""
        trials = [
            dataclasses.replace(t, params=dataclasses.replace(t.params, precision=precision))
            for t in self.trials
        ]
        return dataclasses.replace(self, name=f"{self.name} {precision}", trials=tuple(trials))

    def compare(self, found: Step, expected: Step, loss_tolerance: float = LOSS_TOLERANCE) -> str:
        """Assert that two last steps agree, and return by how much."""
        assert found.at == expected.at
        assert found.metrics.keys() == expected.metrics.keys()
        figures = []
        if "loss" in expected.metrics:
            apart = _apart(found, expected, "loss") / abs(expected.metrics["loss"])
            assert apart <= loss_tolerance, (self.name, "loss", apart)
            figures.append(f"loss {apart:.0e}")
        for name in self.scores:
            apart = _apart(found, expected, name) / max(1.0, abs(expected.metrics[name]))
            assert apart <= SCORE_TOLERANCE, (self.name, name, apart)
            figures.append(f"{name} {apart:.0e}")
        if self.caption_share is not None:
            share = equal_captions(found, expected)
            assert share >= self.caption_share, (self.name, "equal captions", share)
            figures.append(f"{100 * share:.0f} % of captions equal")
        return ", ".join(figures)


def _apart(found: Step, expected: Step, name: str) -> float:
    return float(abs(found.metrics[name] - expected.metrics[name]))


def equal_captions(found: Step, expected: Step) -> float:
    """Return the share of images with the same caption."""
    assert found.samples is not None
    assert expected.samples is not None
    pairs = list(zip(found.samples["caption"], expected.samples["caption"], strict=True))
    return float(np.mean([one == other for one, other in pairs]))


def make_trials(
    task: Task, model: str, data: str, common: dict[str, Any], variants: Sequence[dict[str, Any]]
) -> tuple[Trial, ...]:
    """Return trials of a task that differ in these parameters."""
    source, images = task.resolve(model, data)
    return tuple(
        task.normalize(
            Trial(
                task=task.name,
                version=task.version,
                params=task.Params(**common | variant),
                seed=0,
                model=source,
                data=images,
            )
        )
        for variant in variants
    )


def captioned(folder: Path) -> str:
    """Draw a small captioned data set once; return its name."""
    target = folder / "captioned"
    if not target.is_dir():
        target.mkdir()
        draw_folder(target, train=24, val=20)
    return f"folder:{target}"


def masked(folder: Path) -> str:
    """Draw a small data set with masks; return its name."""
    return f"folder:{draw_masked_folder(folder / 'masked', train=8, val=4)}"


TRAINING = {"lr": 1e-3, "epochs": 3, "precision": "float32"}
RATES: tuple[dict[str, Any], ...] = ({}, {"lr": 3e-3}, {"weight_decay": 0.1})


def retrieval_heads(folder: Path) -> Subject:
    """Heads on a frozen CLIP."""
    model = str(save_tiny("clip", folder / "clip"))
    common = TRAINING | {"batch_size": 8, "augment": False, "start": "random"}
    trials = make_trials(RETRIEVAL, model, captioned(folder), common, RATES)
    return Subject(name="retrieval", task=RETRIEVAL, trials=trials, scores=("i2t_mean_rank",))


def retrieval_full(folder: Path) -> Subject:
    """A whole CLIP."""
    model = str(save_tiny("clip", folder / "clip-full"))
    common = TRAINING | {"batch_size": 8, "augment": False, "trainable": "full"}
    trials = make_trials(RETRIEVAL, model, captioned(folder), common, RATES[:1])
    return Subject(name="retrieval full", task=RETRIEVAL, trials=trials, scores=("i2t_mean_rank",))


def retrieval_lora(folder: Path) -> Subject:
    """LoRA adapters of a CLIP."""
    model = str(save_tiny("clip", folder / "clip-lora"))
    common = TRAINING | {"batch_size": 8, "augment": False, "trainable": "lora"}
    trials = make_trials(RETRIEVAL, model, captioned(folder), common, RATES[:1])
    return Subject(name="retrieval LoRA", task=RETRIEVAL, trials=trials, scores=("i2t_mean_rank",))


DECODINGS: tuple[dict[str, Any], ...] = (
    {"decoding": "greedy"},
    {"temperature": 1.0},
    {"top_k": None, "top_p": 0.9, "no_repeat_ngram_size": 2},
    {"decoding": "beam", "num_beams": 2},
)


def captioning_blip(folder: Path) -> Subject:
    """The shipped BLIP."""
    common = {"num_images": 32}
    trials = make_trials(CAPTIONING, "blip-scenes", "scenes", common, DECODINGS)
    return Subject(name="captioning BLIP", task=CAPTIONING, trials=trials, caption_share=0.9)


def captioning_git(folder: Path) -> Subject:
    """A tiny GIT at random weights, as an example of the families that use ``generate``."""
    model = str(save_captioner("git", folder / "git"))
    common = {"num_images": 18, "max_length": 12, "min_length": 2, "prompt": "a red circle"}
    trials = make_trials(CAPTIONING, model, captioned(folder), common, DECODINGS)
    return Subject(name="captioning GIT", task=CAPTIONING, trials=trials, caption_share=0.9)


def diffusion(folder: Path) -> Subject:
    """A small U-Net; the members of the pack share its training."""
    common = {"features": 8, "epochs": 2, "draws": 128, "num_steps": 20, "precision": "float32"}
    variants: tuple[dict[str, Any], ...] = ({}, {"sampler": "dpm"})
    common |= {"sampling_steps": 4, "num_samples": 3}
    trials = make_trials(DIFFUSION, "unet", "concepts", common, variants)
    return Subject(name="diffusion", task=DIFFUSION, trials=trials, scores=("kid",))


def segmentation_heads(folder: Path) -> Subject:
    """UPerNet heads on a frozen ViT, which are stacked."""
    model = str(save_tiny("vit", folder / "vit"))
    common = TRAINING | {"batch_size": 4, "image_size": 64, "head": "upernet", "head_width": 16}
    trials = make_trials(SEGMENTATION, model, masked(folder), common, RATES)
    scores = ("miou", "pixel_accuracy")
    return Subject(name="segmentation", task=SEGMENTATION, trials=trials, scores=scores)


def segmentation_full(folder: Path) -> Subject:
    """A whole ViT with a linear head."""
    model = str(save_tiny("vit", folder / "vit-full"))
    common = TRAINING | {"batch_size": 4, "image_size": 64, "trainable": "full"}
    trials = make_trials(SEGMENTATION, model, masked(folder), common, RATES[:1])
    scores = ("miou", "pixel_accuracy")
    return Subject(name="segmentation full", task=SEGMENTATION, trials=trials, scores=scores)


def segmentation_lora(folder: Path) -> Subject:
    """LoRA adapters of a ViT with a linear head."""
    model = str(save_tiny("vit", folder / "vit-lora"))
    common = TRAINING | {"batch_size": 4, "image_size": 64, "trainable": "lora"}
    trials = make_trials(SEGMENTATION, model, masked(folder), common, RATES[:1])
    scores = ("miou", "pixel_accuracy")
    return Subject(name="segmentation LoRA", task=SEGMENTATION, trials=trials, scores=scores)


SUBJECTS: dict[str, Callable[[Path], Subject]] = {
    make.__name__: make
    for make in (
        *(retrieval_heads, retrieval_full, retrieval_lora, captioning_blip, captioning_git),
        *(diffusion, segmentation_heads, segmentation_full, segmentation_lora),
    )
}
