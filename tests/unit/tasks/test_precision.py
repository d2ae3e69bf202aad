"""``precision=auto`` uses bfloat16 only where the hardware supports it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tasks import precision


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    precision._has_bfloat16.cache_clear()
    yield
    precision._has_bfloat16.cache_clear()


def pretend(
    monkeypatch: pytest.MonkeyPatch, tmp: Path, *, flags: str, majors: list[int] | None
) -> None:
    """Simulate a CPU with these flags and GPUs with these major compute capabilities."""
    (tmp / "cpuinfo").write_text(f"flags : {flags}")
    monkeypatch.setattr(precision, "CPU_INFO", tmp / "cpuinfo")
    driver = tmp / "version"
    monkeypatch.setattr(precision, "NVIDIA_DRIVER", driver)
    if majors is None:
        return
    driver.touch()
    current = [0]

    def device(index: int) -> object:
        current[0] = index
        return nullcontext()

    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(majors))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(majors))
    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current[0])
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda index: SimpleNamespace(major=majors[current[0]]),
    )


@pytest.mark.parametrize(
    ("majors", "flags", "expected"),
    [
        ([7], "avx512_bf16", "float32"),  # V100, T4
        ([8], "", "bfloat16"),  # A100
        ([9, 9], "", "bfloat16"),
        ([9, 7], "", "float32"),  # a trial may run on either GPU
        ([], "amx_bf16", "bfloat16"),  # a driver, but no GPU that torch can use
        ([], "avx2", "float32"),
        (None, "avx512_bf16", "bfloat16"),
        (None, "avx2", "float32"),
    ],
)
def test_auto_follows_the_hardware(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    majors: list[int] | None,
    flags: str,
    expected: str,
) -> None:
    pretend(monkeypatch, tmp_path, flags=flags, majors=majors)
    assert precision.resolve_precision("auto") == expected


def test_explicit_precision_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend(monkeypatch, tmp_path, flags="avx2", majors=[7])
    assert precision.resolve_precision("bfloat16") == "bfloat16"
    assert precision.resolve_precision("float32") == "float32"
