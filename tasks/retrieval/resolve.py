"""Fill in and check the parameters of a trial that depend on its model. Without torch."""

from __future__ import annotations

import dataclasses

from tasks.contract import ModelError, RequestError, Source, Trial
from tasks.models import families
from tasks.models.factories import is_factory
from tasks.models.logit_scale import read_bias, read_temperature
from tasks.retrieval.params import BIAS, EMBED_DIM, Params


def resolve_heads(trial: Trial) -> Params:
    """Return the parameters with the kind and the width of the heads filled in."""
    params: Params = trial.params
    name = trial.model.name
    if families.is_pair(name):
        if params.start == "pretrained":
            raise ModelError(f"{name} has no pretrained heads; add --set start=random")
        kind = "linear" if params.head == "own" else params.head
        return dataclasses.replace(params, head=kind, embed_dim=params.embed_dim or EMBED_DIM)
    families.check_weights(name, heads=params.start == "pretrained")
    if params.head == "own":
        if params.embed_dim is not None:
            raise RequestError(
                "embed_dim sets the width of new heads; add --set head=linear or --set head=mlp"
            )
        return params
    if params.start == "pretrained":
        raise RequestError(f"head={params.head} creates new heads; add --set start=random")
    if families.find_family(name).pools_in_head:
        raise ModelError(
            f"{name} needs head=own, because SigLIP's heads also pool, but got head={params.head}"
        )
    return dataclasses.replace(params, embed_dim=params.embed_dim or EMBED_DIM)


def check_texts(model: Source, params: Params) -> None:
    """Check the options of captions.

    Raises:
        RequestError: if there is no tokenizer, or if the text encoder takes fewer tokens.
    """
    name = model.name
    part = families.text_part(name)
    if (params.max_tokens is not None or params.lower_case) and is_factory(part):
        raise RequestError(
            "max_tokens and lower_case need a tokenizer, but the text encoder is a factory; remove "
            "them, and change what the factory's prepare function does"
        )
    if params.max_tokens is not None:
        maximum = families.find_max_tokens(part, model.fingerprint)
        families.check_max_tokens(params.max_tokens, maximum or params.max_tokens)


def check_matching(name: str, params: Params) -> None:
    """Raise RequestError if the trial needs a matching head that fits its encoders, but has none.

    The parameters are those of ``without_unused``.
    """
    weight = params.itm_weight
    for option in ("rerank_k", "itm_weight"):
        if getattr(params, option) is not None:
            families.check_matching(name, option)
    if params.rerank_k is not None and weight is None and params.trainable != "head":
        raise RequestError(
            "rerank_k needs a matching head that fits the encoders, but got "
            f"trainable={params.trainable}; add --set itm_weight=1 to train it, or set "
            "trainable=head"
        )
    if weight is not None and params.trainable == "head":
        raise RequestError(
            "itm_weight needs the encoders in each step, because its negatives depend on the "
            "heads, but got trainable=head; set trainable=lora or full, or remove itm_weight"
        )
    if weight is not None and params.chunk_size is not None:
        raise RequestError(
            "itm_weight needs the whole batch at a time, but got "
            f"chunk_size={params.chunk_size}; use gradient_checkpointing=yes instead"
        )


def resolve_loss(name: str, params: Params) -> Params:
    """Return the parameters of the loss with the checkpoint's temperature and bias filled in.

    Raises:
        ModelError: if the checkpoint has no temperature.
    """
    is_pair = families.is_pair(name)
    temperature, bias = params.temperature, params.bias
    if temperature is None:
        temperature = None if is_pair else read_temperature(name)
        if temperature is None:
            raise ModelError(
                f"temperature=none is the checkpoint's own, but {name} has none; set one, such as "
                "--set temperature=0.1"
            )
    if params.loss == "sigmoid":
        if bias is None:
            found = None if is_pair else read_bias(name)
            bias = BIAS if found is None else found
        loss, learns = params.loss, params.learn_bias or None
    elif bias is not None or params.learn_bias:
        raise RequestError(
            "bias and learn_bias are of the sigmoid loss; add --set loss=sigmoid, or remove them"
        )
    else:
        loss, learns = None, None
    one = params.num_captions == 1 or params.pairs == "random"  # then all choices are the same
    return dataclasses.replace(
        params,
        temperature=temperature,
        loss=loss,
        bias=bias,
        learn_bias=learns,
        pairs=None if one else params.pairs,
    )
