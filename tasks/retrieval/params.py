"""The parameters of a retrieval trial. Without torch."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal, get_args

from tasks.contract import Scalar
from tasks.contract.identity import content_of
from tasks.models.lora_params import LORA, check_lora
from tasks.models.training_params import TRAINING, check_training, resolve_training
from tasks.precision import Precision
from tasks.validation import check_choice, check_rule

Start = Literal["pretrained", "random"]
Trainable = Literal["head", "lora", "full"]
Head = Literal["own", "linear", "mlp"]
Ties = Literal["expected", "strict", "same_text"]
Loss = Literal["contrastive", "sigmoid"]
Pairs = Literal["random", "cycle", "all"]
EMBED_DIM = 256  # default width of new heads, as in BLIP
BIAS = -10.0  # initial bias of the sigmoid loss (Zhai et al. 2023, section 3.2)
#: Parameters that did not exist from the start. Their defaults are None, as for trials from before
#: them, and are left out of a trial's id.
ADDED = (
    *("loss", "bias", "learn_bias", "pairs", "rerank_k", "max_tokens", "lower_case", *LORA),
    *TRAINING,
    *("chunk_size", "itm_weight"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """Finetuning of two projection heads, or of the full model, with a contrastive loss."""

    start: Start = "pretrained"
    """The initial heads: those of the checkpoint, or random (by the seed)."""
    trainable: Trainable = "head"
    """Train the two heads on a frozen backbone, the heads and LoRA adapters of the backbone, or the
    full model (without dropout)."""
    head: Head = "own"
    """The kind of heads: the checkpoint's own; or new ones (start=random), linear or mlp."""
    embed_dim: int | None = None
    """Width of the shared space of new heads; none: 256, or the checkpoint's own. >= 1."""
    lr: float = 1e-5
    """Initial learning rate of AdamW, with linear decay to 0. > 0."""
    weight_decay: float = 0.0
    """Weight decay of AdamW; as in the protocol also of biases, not of the temperature. >= 0."""
    epochs: int = 3
    """Passes over the training images; 0 only evaluates the initial heads. >= 0."""
    temperature: float | None = 0.1
    """Divides the cosine similarities in the loss; the initial value if it is learned; none: the
    checkpoint's own. > 0."""
    learn_temperature: bool = False
    """Whether to train the temperature, without weight decay; it stays >= 0.01 in the contrastive
    loss."""
    batch_size: int = 16
    """Pairs per step; the last, smaller batch of an epoch is dropped. >= 2."""
    augment: bool = True
    """Augment training images as BLIP does: random crop 0.5 to 1, flip, RandAugment(2, 5)."""
    num_captions: int | None = None
    """Use only this many captions per image, to train and to evaluate; none: all. >= 1."""
    ties: Ties = "expected"
    """How to count candidates with the same score as the right one: by the mean over random orders
    (expected), as ranked before it (strict), or as right if the text is the same (same_text)."""
    split: str = "val"
    """The split to evaluate on after each epoch."""
    precision: Precision = "auto"
    """The precision of the backbone; heads, loss and weights are always float32. auto: bfloat16 if
    the driver's machine has instructions for it; the choice becomes part of the trial."""
    loss: Loss | None = None
    """contrastive: cross-entropy over the pairs of a batch, as in CLIP; sigmoid: a sigmoid for each
    pair, as in SigLIP; none: contrastive."""
    bias: float | None = None
    """Added to the scaled similarities in the sigmoid loss; the initial value if it is learned;
    none: the checkpoint's own, or -10 if it has none."""
    learn_bias: bool | None = None
    """Whether to train the bias of the sigmoid loss, without weight decay; none: no."""
    pairs: Pairs | None = None
    """The captions of an image in an epoch: random: one at random; cycle: the next one; all: every
    one, where captions of the same image are right answers too; none: random."""
    rerank_k: int | None = None
    """Re-rank this many best candidates of each query by BLIP's matching head; none: rank by the
    heads alone. >= 1."""
    max_tokens: int | None = None
    """Truncate captions to this many tokens, with those of start and end; none: the model's
    maximum. >= 3."""
    lower_case: bool | None = None
    """Whether to lower the case of captions before the tokenizer; none: leave it to the
    tokenizer."""
    lora_rank: int | None = None
    """Rank of the LoRA adapters; none: 8. Only for lora. >= 1."""
    lora_alpha: float | None = None
    """Factor of the adapters' output, divided by lora_rank; none: 16. Only for lora. > 0."""
    lora_targets: str | None = None
    """Linear layers with adapters: all-linear, or a regular expression for their names, which begin
    with image. or text.; none: all-linear. Only for lora."""
    warmup_ratio: float | None = None
    """Share of all steps over which the learning rate rises from 0 to lr; none: 0. 0 to below 1."""
    layer_decay: float | None = None
    """Factor of the learning rate from a layer of an encoder to the one below it; none: 1. Only for
    full. Above 0, at most 1."""
    gradient_checkpointing: bool | None = None
    """Whether to compute the activations of each layer again in the backward pass, which saves
    memory and takes longer; none: no. Only for lora and full."""
    chunk_size: int | None = None
    """Pairs that are in an encoder at a time, which saves memory and takes longer; the loss is
    still over the batch; none: batch_size. Only for lora and full. >= 1."""

    itm_weight: float | None = None
    """Weight of BLIP's image-text matching loss with hard negatives, which trains the matching head
    and is added to the loss; none: 0, so the head stays as it is. Only for lora and full. >= 0."""

    def __post_init__(self) -> None:
        check_choice("start", self.start, get_args(Start))
        check_choice("precision", self.precision, get_args(Precision))
        check_choice("trainable", self.trainable, get_args(Trainable))
        check_choice("head", self.head, get_args(Head))
        check_choice("ties", self.ties, get_args(Ties))
        if self.loss is not None:
            check_choice("loss", self.loss, get_args(Loss))
        if self.pairs is not None:
            check_choice("pairs", self.pairs, get_args(Pairs))
        check_rule(
            "embed_dim >= 1",
            self.embed_dim is None or self.embed_dim >= 1,
            f"embed_dim={self.embed_dim}",
        )
        check_rule("lr > 0", self.lr > 0 and math.isfinite(self.lr), f"lr={self.lr}")
        decay = self.weight_decay
        check_rule(
            "weight_decay >= 0", decay >= 0 and math.isfinite(decay), f"weight_decay={decay}"
        )
        check_rule("epochs >= 0", self.epochs >= 0, f"epochs={self.epochs}")
        number = self.temperature
        holds = number is None or (number > 0 and math.isfinite(number))
        check_rule("temperature > 0", holds, f"temperature={number}")
        check_rule("batch_size >= 2", self.batch_size >= 2, f"batch_size={self.batch_size}")
        number = self.num_captions
        check_rule("num_captions >= 1", number is None or number >= 1, f"num_captions={number}")
        check_rule("split must not be train", self.split != "train", f"split={self.split}")
        number = self.rerank_k
        check_rule("rerank_k >= 1", number is None or number >= 1, f"rerank_k={number}")
        number = self.max_tokens
        check_rule("max_tokens >= 3", number is None or number >= 3, f"max_tokens={number}")
        bias = self.bias
        check_rule("bias is finite", bias is None or math.isfinite(bias), f"bias={bias}")
        check_lora(self)
        check_training(self)
        chunk = self.chunk_size
        check_rule("chunk_size >= 1", chunk is None or chunk >= 1, f"chunk_size={chunk}")
        weight = self.itm_weight
        holds = weight is None or (weight >= 0 and math.isfinite(weight))
        check_rule("itm_weight >= 0", holds, f"itm_weight={weight}")

    def without_unused(self) -> Params:
        """Return the same training with None for options without effect, so that ids are equal."""
        chunk = self.chunk_size
        has_chunks = self.trainable != "head" and chunk is not None and chunk < self.batch_size
        return dataclasses.replace(
            resolve_training(self),
            chunk_size=chunk if has_chunks else None,
            itm_weight=self.itm_weight or None,
        )

    def shared_by_adapters(self) -> tuple[object, ...]:
        """Return the options that trials with adapters share if they are trained together."""
        return (
            *(self.batch_size, self.split, self.precision, self.lora_rank, self.lora_targets),
            *(self.num_captions, self.max_tokens, self.lower_case, self.itm_weight is None),
            *(self.chunk_size, self.gradient_checkpointing),
        )

    def content(self) -> dict[str, Scalar]:
        """Return the part that a trial's id hashes."""
        return content_of(self, ADDED)
