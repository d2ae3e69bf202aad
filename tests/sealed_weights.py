"""Weight files with arrays of every kind, and a test of writing and reading them."""

from __future__ import annotations

from typing import Any

import numpy as np
import safetensors.torch
import torch

from orchestrator.saving.checkpoints import serialize
from results.storage.weights import WeightStore, seal_weights


def sealed(trial_id: str, arrays: dict[str, Any]) -> bytes:
    metadata = {"task": "toy", "version": "1", "trial_id": trial_id, "seed": 0, "params": {"a": 1}}
    sources = {"model": {"name": "m", "fingerprint": "1"}, "data": {"name": "d"}}
    return seal_weights(serialize(arrays), {**metadata, **sources, "values": {"n": 2}})


ARRAYS: dict[str, Any] = {
    "half": torch.tensor([1.0, -2.5, float("inf"), 1e-30]).to(torch.bfloat16),
    "float": torch.randn(3, 2, generator=torch.Generator().manual_seed(0)),
    "number": torch.tensor(7),
    "numpy": np.arange(6, dtype=np.float64).reshape(2, 3).T,
    "nothing": np.zeros((0, 4), np.float32),
    "flags": np.array([True, False]),
}


def check_round_trip(out: str) -> None:
    """Write and read arrays of every kind, in a folder or a bucket."""
    store = WeightStore(out, "toy", "s")
    assert store.sizes() == {}
    assert store.read("t1") is None
    blob = sealed("t1", ARRAYS)
    store.write("t1", blob)
    store.sync(["t1"])
    assert store.sizes() == {"t1": len(blob)}
    assert store.has("t1")
    assert not store.has("t2")
    found = store.read("t1")
    assert found is not None
    assert found.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        wanted = array.float() if name == "half" else array
        assert np.array_equal(found.arrays[name], np.asarray(wanted))
    assert found.dtypes["half"] == "BF16"
    assert found.values == {"n": 2}
    assert found.metadata["params"] == {"a": 1}
    loaded = safetensors.torch.load(blob)  # the library reads the file too
    assert torch.equal(loaded["half"], ARRAYS["half"])
    store.delete("t1")
    store.delete("t1")
    assert store.sizes() == {}
