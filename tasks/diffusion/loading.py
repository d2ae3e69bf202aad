"""The network of a trial: which one, its first weights, and a copy in memory for later steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from tasks.contract import Source, State, Trial, TrialError
from tasks.diffusion import data, networks, sampling
from tasks.diffusion.params import DIT, Params
from tasks.models.factories import is_factory


def describe_network(trial: Trial, sizes: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """Return the arguments of ``networks.make_network``, for this trial and its export.

    Args:
        trial: the trial.
        sizes: the lengths of the parts of an encoded condition.
    """
    params: Params = trial.params
    is_own = is_factory(trial.model.name)
    if not is_own and params.network != "dit":
        options = {"features": params.features, "attention": params.attention}
        return "unet", options | {"condition_sizes": tuple(sizes)}
    channels, size, _ = sampling.SHAPE
    options = {"channels": channels, "size": size, "num_conditions": sum(sizes)}
    if is_own:
        return trial.model.name, options
    return "dit", options | {name: getattr(params, name) for name in DIT}


def new_network(trial: Trial) -> nn.Module:
    """Return the network with weights that depend on the seed, but not on the device.

    Raises:
        TrialError: if the user's factory does not return a network for these images.
    """
    sizes = data.conditions_of(trial).sizes
    name, options = describe_network(trial, sizes)
    if name in networks.BUILT_IN:
        with seeded(trial.seed, "cpu"):
            return networks.make_network(name, options)
    try:
        with seeded(trial.seed, "cpu"):
            network = networks.make_network(name, options)
            problem = _find_problem(network, sum(sizes))
    except Exception as error:  # raised by the user's code
        raise TrialError(f"{name}: {type(error).__name__}: {error}; fix the factory") from error
    if problem:
        raise TrialError(f"{name}: {problem}; fix the factory")
    return network


@torch.no_grad()
def _find_problem(network: object, num_conditions: int) -> str | None:
    """Return what is wrong with the network of a factory, or None."""
    if not isinstance(network, nn.Module):
        return f"it must return a torch.nn.Module, but returned {type(network).__name__}"
    if not any(parameter.requires_grad for parameter in network.parameters()):
        return "its network has no parameters to train"
    if any(value.dtype != torch.float32 for value in network.parameters()):
        return "its network must have float32 parameters"
    x = torch.zeros((2, *sampling.SHAPE))
    out = network.eval()(x, torch.ones(2), torch.zeros((2, num_conditions)))
    if not isinstance(out, Tensor) or out.shape != x.shape:
        got = list(out.shape) if isinstance(out, Tensor) else type(out).__name__
        return (
            f"its network must return {list(x.shape)} for images of this shape, but returned {got}"
        )
    return None


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Seed torch's global random numbers, and restore them afterwards."""
    devices = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@lru_cache(maxsize=4)
def _cached(
    name: str, options: tuple[tuple[str, Any], ...], model: Source, device: str
) -> nn.Module:
    # Later random numbers must not depend on whether the network is in the cache.
    with torch.random.fork_rng(devices=[]):
        network = networks.make_network(name, dict(options))
    return network.to(device)


def load_network(trial: Trial, weights: Mapping[str, Tensor], device: str) -> nn.Module:
    """Return the network with these weights. It is the same object at the next call."""
    name, options = describe_network(trial, data.conditions_of(trial).sizes)
    network = _cached(name, tuple(options.items()), trial.model, device)
    networks.set_weights(network, weights)
    return network


def weights_of(state: State, part: str = "weight") -> dict[str, Tensor]:
    """Return the weights of a state, or their moving average for ``ema``, and the buffers."""
    return {
        name.partition(".")[2]: value
        for name, value in state.arrays.items()
        if name.startswith((f"{part}.", "buffer."))
    }
