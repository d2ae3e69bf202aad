"""What a diffusion trial can vary. No torch here."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal, get_args

from tasks.precision import Precision
from tasks.validation import check_choice, check_rule

NoiseSchedule = Literal["linear", "cosine"]
Prediction = Literal["epsilon", "v"]
Weighting = Literal["none", "min_snr"]
Optimiser = Literal["adam", "adamw"]
Sampler = Literal["ancestral", "ddim", "dpm"]

#: What a trained model does not depend on: trials that differ in these alone share their training.
SAMPLING = ("guidance", "sampler", "eta", "sampling_steps", "num_samples")


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """A conditional diffusion model: trained on four conditions, sampled on eight, probed."""

    features: int = 32
    """Width of the U-Net; the lab has 256. >= 8."""
    attention: bool = False
    """Self-attention at the smallest resolution."""
    epochs: int = 8
    """Passes of ``draws`` images; the lab has 100. >= 1."""
    draws: int = 5000
    """Images drawn an epoch, with replacement between epochs. >= batch_size."""
    batch_size: int = 64
    """Images a step; the last, smaller batch counts too. >= 1."""
    optimiser: Optimiser = "adam"
    """Adam as in the protocol, or AdamW."""
    lr: float | None = None
    """Learning rate, constant; none: the lab's 1e-4 times 256 / features. > 0."""
    weight_decay: float = 0.0
    """Of AdamW. >= 0."""
    schedule: NoiseSchedule = "linear"
    """How noise grows: betas on a line, or the cosine schedule."""
    num_steps: int = 500
    """T, the number of noise levels. >= 2."""
    beta_1: float = 1e-4
    """First beta of the linear schedule. The lab takes its learning rate for it. 0 to 1."""
    beta_last: float = 0.02
    """Last beta of the linear schedule. beta_1 to 1."""
    prediction: Prediction = "epsilon"
    """What the network predicts: the noise, or v."""
    weighting: Weighting = "none"
    """Weights of the loss over noise levels: none, or min-SNR with gamma 5."""
    ema: float = 0.99
    """Decay a step of the averaged weights that are sampled from; 0 is none. 0 to below 1."""
    drop_condition: float = 0.0
    """Share of training images whose condition is left out, for guidance. 0 to below 1."""
    guidance: float = 1.0
    """Scale of classifier-free guidance; 1 is none, and others need drop_condition. >= 0."""
    sampler: Sampler = "ddim"
    """Ancestral (all T steps, as the lab), DDIM, or DPM-Solver++ of second order."""
    eta: float = 1.0
    """Noise that a step of ddim adds: 0 none, 1 as much as ancestral sampling. 0 to 1."""
    sampling_steps: int = 25
    """Steps of ddim and dpm; ancestral takes all of them. 1 to num_steps."""
    num_samples: int = 64
    """Images sampled of each condition. >= 1."""
    evaluate_every: int = 0
    """Sample and probe after each so many epochs too; 0: at the end alone. >= 0."""
    precision: Precision = "auto"
    """What the network computes in, weights and loss always in float32; auto: bfloat16 where the
    driver's machine has instructions for it, which becomes part of the trial."""

    def __post_init__(self) -> None:
        for name, options in (
            ("optimiser", Optimiser),
            ("schedule", NoiseSchedule),
            ("prediction", Prediction),
            ("weighting", Weighting),
            ("sampler", Sampler),
            ("precision", Precision),
        ):
            check_choice(name, getattr(self, name), get_args(options))
        for name, least in (
            ("features", 8),
            ("epochs", 1),
            ("batch_size", 1),
            ("num_steps", 2),
            ("sampling_steps", 1),
            ("num_samples", 1),
            ("evaluate_every", 0),
            ("weight_decay", 0),
            ("guidance", 0),
        ):
            value = getattr(self, name)
            check_rule(
                f"{name} >= {least}", math.isfinite(value) and value >= least, f"{name}={value}"
            )
        check_rule("lr > 0", self.lr is None or 0 < self.lr < math.inf, f"lr={self.lr}")
        holds = self.draws >= self.batch_size
        check_rule("draws >= batch_size", holds, f"{self.draws} < {self.batch_size}")
        betas = f"beta_1={self.beta_1}, beta_last={self.beta_last}"
        check_rule("0 < beta_1 <= beta_last < 1", 0 < self.beta_1 <= self.beta_last < 1, betas)
        check_rule("0 <= eta <= 1", 0 <= self.eta <= 1, f"eta={self.eta}")
        for name in ("ema", "drop_condition"):
            value = getattr(self, name)
            check_rule(f"0 <= {name} < 1", 0 <= value < 1, f"{name}={value}")
        steps = f"sampling_steps={self.sampling_steps}, num_steps={self.num_steps}"
        check_rule("sampling_steps <= num_steps", self.sampling_steps <= self.num_steps, steps)
        guided = self.guidance == 1 or self.drop_condition > 0
        rule = "guidance == 1 or drop_condition > 0"
        check_rule(rule, guided, f"guidance={self.guidance}, drop_condition={self.drop_condition}")

    def resolved(self) -> Params:
        """What is not read set to its default, and the learning rate worked out."""
        blank = {f.name: f.default for f in dataclasses.fields(self)}
        changes: dict[str, object] = {"lr": self.lr or 1e-4 * 256 / self.features}
        if self.optimiser == "adam":
            changes["weight_decay"] = 0.0
        if self.schedule == "cosine":
            changes |= {name: blank[name] for name in ("beta_1", "beta_last")}
        if self.sampler == "ancestral":
            changes["sampling_steps"] = self.num_steps
        if self.sampler != "ddim":
            changes["eta"] = blank["eta"]
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    def training(self) -> tuple[object, ...]:
        """What the trained model depends on."""
        names = [f.name for f in dataclasses.fields(self) if f.name not in SAMPLING]
        return tuple(getattr(self, name) for name in names)
