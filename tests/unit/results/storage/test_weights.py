"""The files of kept weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from sealed_weights import check_round_trip, sealed

from results.storage.weights import (
    WeightStore,
)
from tasks.contract import StoreError


def test_weights_round_trip(tmp_path: Path) -> None:
    (tmp_path / "toy" / "s").mkdir(parents=True)
    check_round_trip(str(tmp_path))


def test_changed_byte_is_detected(tmp_path: Path) -> None:
    (tmp_path / "toy" / "s").mkdir(parents=True)
    store = WeightStore(str(tmp_path), "toy", "s")
    blob = sealed("t1", {"a": np.arange(3.0), "b": np.ones(2, np.float32)})
    store.write("t1", blob)
    file = tmp_path / "toy/s/weights/t1.safetensors"
    for place in range(len(blob)):
        damaged = bytearray(blob)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        with pytest.raises(StoreError, match="delete the file, then add --keep best") as caught:
            store.read("t1")
        assert str(file) in str(caught.value)
    for length in (0, 5, 8, 100, len(blob) - 1):
        file.write_bytes(blob[:length])
        with pytest.raises(StoreError, match="damaged"):
            store.read("t1")
    file.write_bytes(safetensors.torch.save({"a": torch.ones(2)}))
    with pytest.raises(StoreError, match="it has no seal"):
        store.read("t1")
    file.write_bytes(sealed("t2", {"a": np.ones(1)}))
    with pytest.raises(StoreError, match="of trial t2"):
        store.read("t1")


def test_missing_sweep_folder_is_not_created(tmp_path: Path) -> None:
    store = WeightStore(str(tmp_path / "elsewhere"), "toy", "s")
    with pytest.raises(StoreError, match="No such file"):
        store.write("t1", b"")
    assert not (tmp_path / "elsewhere").exists()


def test_unsupported_dtype_is_refused_on_write(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="F8_E4M3"):
        sealed("t1", {"a": torch.ones(2).to(torch.float8_e4m3fn)})
