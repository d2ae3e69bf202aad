"""The parameters of a diffusion trial. Without torch."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal, get_args

from tasks.contract import Scalar
from tasks.contract.identity import content_of
from tasks.precision import Precision
from tasks.validation import check_choice, check_rule

NoiseSchedule = Literal["linear", "cosine"]
Prediction = Literal["epsilon", "v", "x0", "flow"]
Weighting = Literal["none", "min_snr"]
Optimizer = Literal["adam", "adamw"]
Sampler = Literal["ancestral", "ddim", "dpm", "euler", "heun"]
FLOW_SAMPLERS = ("euler", "heun")
Network = Literal["unet", "dit"]
SIDE = 28  # of an image, in pixels
#: The parameters of the DiT, with the values that they have if they are not given.
DIT = {"patch_size": 4, "depth": 4, "width": 128, "heads": 4}
#: Parameters that did not exist in the first release. Their defaults are None, as for trials from
#: before them, and are left out of a trial's id.
ADDED = (*DIT, "network", "unseen", "min_real_accuracy")

#: The parameters that do not affect training: trials that differ only in these train once.
SAMPLING = (*("guidance", "sampler", "eta", "sampling_steps", "num_samples", "min_real_accuracy"),)


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """A conditional diffusion model, trained on some conditions and sampled and scored on all."""

    network: Network | None = None
    """The network of --model unet: unet, or dit, a diffusion transformer. none: unet. Unused with
    --model package.module:factory.
    """
    features: int = 32
    """Width of the U-Net; 256 in the lab. >= 8."""
    attention: bool = False
    """Self-attention of the U-Net at the smallest resolution."""
    patch_size: int | None = None
    """Side of the DiT's patches in pixels, a divisor of 28. none: 4."""
    depth: int | None = None
    """Number of blocks of the DiT. none: 4. >= 1."""
    width: int | None = None
    """Width of the DiT, a multiple of 4 and of heads. none: 128."""
    heads: int | None = None
    """Number of attention heads of the DiT. none: 4. >= 1."""
    epochs: int = 8
    """Epochs of ``draws`` images each; 100 in the lab. >= 1."""
    draws: int = 5000
    """Images per epoch, sampled with replacement. >= batch_size."""
    batch_size: int = 64
    """Images per step; the last batch of an epoch may be smaller. >= 1."""
    optimiser: Optimizer = "adam"
    """Adam, as in the protocol, or AdamW."""
    lr: float | None = None
    """Constant learning rate; none: the lab's 1e-4 times 256 / features for the U-Net, 8e-4 for
    other networks. > 0.
    """
    weight_decay: float = 0.0
    """Weight decay of AdamW. >= 0."""
    schedule: NoiseSchedule = "linear"
    """Noise schedule: linear betas, or the cosine schedule; unused with prediction=flow."""
    num_steps: int = 500
    """T, the number of noise levels; unused with prediction=flow. >= 2."""
    beta_1: float = 1e-4
    """First beta of the linear schedule; the lab uses its learning rate. 0 to 1."""
    beta_last: float = 0.02
    """Last beta of the linear schedule. beta_1 to 1."""
    prediction: Prediction = "epsilon"
    """The network's target: the noise, v, the image x0, or the velocity of flow matching, on
    straight paths between image and noise.
    """
    weighting: Weighting = "none"
    """Loss weights of noise levels: none, or min-SNR with gamma 5."""
    ema: float = 0.99
    """Decay per step of the moving average of weights, used for sampling; 0: none. 0 to below 1."""
    drop_condition: float = 0.0
    """Fraction of training images without their condition, for guidance. 0 to below 1."""
    guidance: float = 1.0
    """Scale of classifier-free guidance; 1: none; other values need drop_condition. >= 0."""
    sampler: Sampler | None = None
    """Ancestral (all T steps, as in the lab), DDIM, or second-order DPM-Solver++; with
    prediction=flow Euler's method, or Heun's, which is of second order and runs the network twice
    per step. none: ddim, or euler with prediction=flow.
    """
    eta: float = 1.0
    """Noise that each step of ddim adds: 0 none, 1 as much as ancestral sampling. 0 to 1."""
    sampling_steps: int = 25
    """Number of steps of the sampler; ancestral takes num_steps. 1 to num_steps, except with
    prediction=flow.
    """
    num_samples: int = 64
    """Images sampled per condition. >= 1."""
    unseen: str | None = None
    """For --data folder:DIR: names of the conditions that do not train the model, joined by +.
    none: those without an image in the split train, or without splits those that differ from the
    first condition in two or more attributes.
    """
    min_real_accuracy: float | None = None
    """The judge must recognize this fraction of real images; otherwise trials fail. none: 0.99 for
    the probe alone, 0.95 for all criteria. 0 to 1.
    """
    evaluate_every: int = 0
    """Also sample and score after every this many epochs; 0: only at the end. >= 0."""
    precision: Precision = "auto"
    """The precision of the network's computations; weights and loss are always float32. auto:
    bfloat16 if the driver's machine has instructions for it; the choice becomes part of the trial.
    """

    def __post_init__(self) -> None:
        for name, options in (
            ("optimiser", Optimizer),
            ("schedule", NoiseSchedule),
            ("prediction", Prediction),
            ("weighting", Weighting),
            ("precision", Precision),
        ):
            check_choice(name, getattr(self, name), get_args(options))
        for name, options in (("network", Network), ("sampler", Sampler)):
            if getattr(self, name) is not None:
                check_choice(name, getattr(self, name), get_args(options))
        self._check_dit()
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
        share = self.min_real_accuracy
        holds = share is None or 0 <= share <= 1
        check_rule("0 <= min_real_accuracy <= 1", holds, f"min_real_accuracy={share}")
        for name in ("ema", "drop_condition"):
            value = getattr(self, name)
            check_rule(f"0 <= {name} < 1", 0 <= value < 1, f"{name}={value}")
        steps = f"sampling_steps={self.sampling_steps}, num_steps={self.num_steps}"
        fits = self.prediction == "flow" or self.sampling_steps <= self.num_steps
        check_rule("sampling_steps <= num_steps", fits, steps)
        self._check_sampler()
        guided = self.guidance == 1 or self.drop_condition > 0
        rule = "guidance == 1 or drop_condition > 0"
        check_rule(rule, guided, f"guidance={self.guidance}, drop_condition={self.drop_condition}")

    def _check_dit(self) -> None:
        given = {name: getattr(self, name) for name in DIT}
        for name, value in given.items():
            check_rule(f"{name} >= 1", value is None or value >= 1, f"{name}={value}")
        patch_size, width, heads = (given[n] or DIT[n] for n in ("patch_size", "width", "heads"))
        rule = f"{SIDE} % patch_size == 0"
        check_rule(rule, SIDE % patch_size == 0, f"patch_size={patch_size}")
        holds = width % 4 == 0 and width % heads == 0
        rule = "width % 4 == 0 and width % heads == 0"
        check_rule(rule, holds, f"width={width}, heads={heads}")

    def _check_sampler(self) -> None:
        known = [
            s for s in get_args(Sampler) if (s in FLOW_SAMPLERS) == (self.prediction == "flow")
        ]
        if self.sampler not in (None, *known):
            raise ValueError(
                f"prediction={self.prediction} needs a sampler of {', '.join(known)}, "
                f"but got sampler={self.sampler}"
            )

    def resolved(self, *, factory: bool = False) -> Params:
        """Return the parameters with defaults for unused ones and with the learning rate.

        Args:
            factory: whether ``--model`` names a factory, which replaces the built-in networks.
        """
        defaults = {f.name: f.default for f in dataclasses.fields(self)}
        # The U-Net is None too, so that rows from before this parameter are the same configuration.
        network = "dit" if self.network == "dit" and not factory else None
        changes: dict[str, object] = {"network": network, "lr": self.lr or 8e-4}
        if network is None and not factory:
            changes["lr"] = self.lr or 1e-4 * 256 / self.features
        else:
            changes |= {name: defaults[name] for name in ("features", "attention")}
        for name, value in DIT.items():
            changes[name] = (getattr(self, name) or value) if network else None
        if self.optimiser == "adam":
            changes["weight_decay"] = 0.0
        if self.schedule == "cosine":
            changes |= {name: defaults[name] for name in ("beta_1", "beta_last")}
        if self.prediction == "flow":
            unused = ("schedule", "num_steps", "beta_1", "beta_last")
            changes |= {name: defaults[name] for name in unused}
        sampler = self.sampler or ("euler" if self.prediction == "flow" else "ddim")
        changes["sampler"] = sampler
        if sampler == "ancestral":
            changes["sampling_steps"] = self.num_steps
        if sampler != "ddim":
            changes["eta"] = defaults["eta"]
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    def content(self) -> dict[str, Scalar]:
        """Return the part that a trial's id hashes."""
        return content_of(self, ADDED)

    def training(self) -> tuple[object, ...]:
        """Return the values of the parameters that training depends on."""
        names = [f.name for f in dataclasses.fields(self) if f.name not in SAMPLING]
        return tuple(getattr(self, name) for name in names)
