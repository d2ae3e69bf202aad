"""Layer-wise learning rates: lower layers of an encoder learn more slowly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_NUMBER = re.compile(r"(?:^|\.)(\d+)\.")


def layer_scales(names: Sequence[str], decay: float) -> dict[str, float]:
    """Return the factor of each parameter's learning rate (Bao et al. 2022, BEiT, appendix).

    The factor of the top layer is ``decay``, that of the layer below ``decay ** 2``, and so on.
    Parameters before the first layer, such as embeddings, come below it. Those after the last one
    have the factor 1, as heads have.

    Args:
        names: the names of an encoder's parameters in the order of the encoder. The first number
            in a name is that of its layer, or of its stage.
        decay: the factor from a layer to the one below.
    """
    layers = [int(found[1]) if (found := _NUMBER.search(name)) else None for name in names]
    numbered = [index for index, layer in enumerate(layers) if layer is not None]
    if not numbered:
        return dict.fromkeys(names, 1.0)
    num_layers = 1 + max(layer for layer in layers if layer is not None)
    scales = {}
    for index, (name, layer) in enumerate(zip(names, layers, strict=True)):
        if layer is None:
            layer = -1 if index < numbered[0] else num_layers
        scales[name] = float(decay ** (num_layers - layer))
    return scales


def group_by_scale(scales: Mapping[str, float]) -> dict[float, list[str]]:
    """Group the names of parameters by the factor of their learning rate."""
    groups: dict[float, list[str]] = {}
    for name, scale in scales.items():
        groups.setdefault(scale, []).append(name)
    return groups
