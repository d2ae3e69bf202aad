"""Filters of next tokens besides top-k and top-p, with a limit for each row.

They remove the same tokens as the processors of transformers with the same names.

R rows, M candidates in order of decreasing probability, V vocabulary, L tokens so far
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

TOP_H_CANDIDATES = 100  # top-h considers only this many of the most likely tokens

Limit = Float[Tensor, "R 1"]
Probabilities = Float[Tensor, "R M"]


def limit_entropy(logits: Float[Tensor, "R M"], top_h: Limit) -> Float[Tensor, "R M"]:
    """Keep the most likely tokens whose entropy is at most ``top_h`` of the total.

    Top-h sampling (Baghaei Potraghloo et al. 2025). Rows with a ``top_h`` above 1 keep all.
    """
    first = logits[:, :TOP_H_CANDIDATES].double().softmax(dim=1)
    entropy = torch.special.entr(first)
    keeps = torch.zeros_like(logits, dtype=torch.bool)
    keeps[:, :TOP_H_CANDIDATES] = entropy.cumsum(dim=1) <= top_h * entropy.sum(1, keepdim=True)
    keeps[:, 0] = True
    return logits.masked_fill(~keeps & (top_h <= 1), float("-inf"))


def min_p(p: Probabilities, limit: Limit) -> Tensor:
    """Return which tokens have at least this fraction of the highest probability.

    Min-p sampling (Nguyen et al. 2024). 0 keeps all.
    """
    return p >= limit * p.amax(dim=1, keepdim=True)


def typical_p(p: Probabilities, limit: Limit) -> Tensor:
    """Return which tokens are the most typical ones with this total probability.

    Typical tokens have about as much information as is expected (Meister et al. 2022). 1 keeps all.
    """
    entropy = torch.special.entr(p).sum(dim=1, keepdim=True)
    distance = (-p.log() - entropy).abs()
    ordered, index = distance.sort(dim=1)
    reached = (p.gather(1, index).cumsum(dim=1) < limit).sum(dim=1, keepdim=True)
    keeps: Tensor = distance <= ordered.gather(1, reached.clamp(max=p.shape[1] - 1))
    return keeps


def epsilon_cutoff(p: Probabilities, limit: Limit) -> Tensor:
    """Return which tokens have at least this probability (Hewitt et al. 2022). 0 keeps all."""
    return p >= limit


def eta_cutoff(p: Probabilities, limit: Limit) -> Tensor:
    """Return which tokens have at least a probability that depends on the entropy.

    Eta sampling (Hewitt et al. 2022). 0 keeps all.
    """
    entropy = torch.special.entr(p).sum(dim=1, keepdim=True)
    return p >= torch.minimum(limit, limit.sqrt() * (-entropy).exp())


#: The filters of probabilities by the name of their parameter, in the order of ``generate``, with
#: the limit that keeps all tokens.
FILTERS: Mapping[str, tuple[Callable[[Tensor, Tensor], Tensor], float]] = {
    "min_p": (min_p, 0.0),
    "typical_p": (typical_p, 1.0),
    "epsilon_cutoff": (epsilon_cutoff, 0.0),
    "eta_cutoff": (eta_cutoff, 0.0),
}


def filter_tokens(p: Probabilities, limits: Mapping[str, Float[Tensor, " R"]]) -> Probabilities:
    """Set the probabilities of removed tokens to 0. The most likely token always remains.

    ``limits`` has the filters to use.
    """
    for name, (keeps, neutral) in FILTERS.items():
        if name not in limits:
            continue
        limit = limits[name][:, None].to(p.dtype)
        p = p / p.sum(dim=1, keepdim=True)
        kept = keeps(p, limit) | (limit == neutral)
        if name != "typical_p":  # which keeps the most typical token instead
            kept |= p == p.amax(dim=1, keepdim=True)
        p = p.masked_fill(~kept, 0.0)
    return p


def ban_repeats(
    logits: Float[Tensor, "R V"],
    previous: Int[Tensor, "R L"],
    sizes: Int[Tensor, " R"],
    distinct: Collection[int],
) -> Float[Tensor, "R V"]:
    """Set the logits of tokens to minus infinity that would repeat an n-gram of their row.

    A size of 0 bans nothing. Negative tokens in ``previous`` are padding. ``distinct`` has the
    sizes that occur besides 0, so that the function need not wait for the device to know them.
    """
    length = previous.shape[1]
    for size in sorted(distinct):
        if length < size:
            continue
        grams = previous.unfold(1, size, 1)  # [R, L - size + 1, size]
        tail, last = previous[:, length + 1 - size :], grams[..., -1]
        is_banned = (grams[..., :-1] == tail[:, None]).all(dim=-1)
        is_banned &= (last >= 0) & (sizes == size)[:, None]
        limit = logits.new_full(last.shape, float("inf")).masked_fill(is_banned, float("-inf"))
        logits = logits.scatter_reduce(1, last.clamp(min=0), limit, "amin")
    return logits
