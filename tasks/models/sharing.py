"""Copy a network without copying its weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def copy_with(module: Module, parameters: Mapping[str, Tensor]) -> Module:
    """Return a copy of a network in which the named parameters are replaced by other tensors.

    The copy shares all other tensors with the network. Parameters that are tied stay tied.
    """
    # deepcopy takes what it finds in the memo instead of a copy.
    memo: dict[int, object] = {id(buffer): buffer for buffer in module.buffers()}
    for name, parameter in module.named_parameters():
        memo[id(parameter)] = parameters.get(name, parameter)
    return copy.deepcopy(module, memo)
