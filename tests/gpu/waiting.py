"""Find out where a program waits for the device.

On a GPU, torch refuses to wait while its debug mode is on. On the CPU, the operations whose result
depends on values are refused, such as ``item``, ``nonzero`` and indexing by a mask.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from gpu.running import inputs_of, stack_warnings
from gpu.subjects import SUBJECTS
from torch.utils._python_dispatch import TorchDispatchMode

from tasks.captioning.decoding import DecodingConfig, TokenSampler, Vocabulary
from tasks.contract import Member
from tasks.interrupt import interruptible

aten = torch.ops.aten
WAITING = {
    *(aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default),
    *(aten.bincount.default, aten.equal.default, aten._unique2.default),
}
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}

#: Training loops in which nothing waits, with a batch size that gives them four batches or more,
#: and the number of their images.
LOOPS = {
    "retrieval_heads": (4, 24),
    "diffusion": (32, 128),
    "segmentation_heads": (2, 8),
    "segmentation_full": (2, 8),
    "segmentation_lora": (2, 8),
}


class _Refuse(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.active = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.active:
            by_mask = func in INDEXING and any(
                each is not None and each.dtype is torch.bool for each in args[1]
            )
            assert func not in WAITING, f"{func} waits for the device"
            assert not by_mask, f"{func} by a mask waits for the device"
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def refuse_waiting(device: str) -> Iterator[Callable[[bool], None]]:
    """Yield a function that turns the refusal to wait on and off."""
    if device.startswith("cuda"):

        def turn(on: bool) -> None:
            torch.cuda.set_sync_debug_mode("error" if on else "default")

        try:
            yield turn
        finally:
            turn(False)
        return
    with _Refuse() as mode:

        def turn_mode(on: bool) -> None:
            mode.active = on

        yield turn_mode


def training_loops_do_not_wait(device: str, folder: Path) -> str:
    """Between the second and the last batch of an epoch, nothing waits for the device."""
    for name, (batch_size, images) in LOOPS.items():
        subject = SUBJECTS[name](folder)
        trials = [
            dataclasses.replace(t, params=dataclasses.replace(t.params, batch_size=batch_size))
            for t in subject.trials
        ]
        inputs = inputs_of(subject.task, trials, device)
        members = [Member(trial=t, state=subject.task.start(t, inputs, device)) for t in trials]
        subject.task.advance(members, inputs, device)  # loads libraries, which waits
        num_batches, calls = images // batch_size, 0
        with refuse_waiting(device) as refuse, stack_warnings() as warnings:

            def watch() -> bool:  # called before every batch
                nonlocal calls
                calls += 1
                refuse(1 < calls < num_batches)  # noqa: B023  # called within the block
                return False

            with interruptible(watch):
                for result in subject.task.advance(members, inputs, device):
                    assert not isinstance(result, Exception), (name, result)
        assert calls >= num_batches > 3, (name, calls)
        assert not warnings, warnings
    return ", ".join(LOOPS)


def token_selection_does_not_wait(device: str, folder: Path) -> str:
    """Choosing tokens and finding the rows that end does not wait, whatever the settings."""
    configs = [
        DecodingConfig(min_length=5, no_repeat_ngram_size=2),
        DecodingConfig(temperature=0.7, top_k=50, repetition_penalty=1.2),
        DecodingConfig(temperature=1.0, top_p=0.9, typical_p=0.9, eta_cutoff=1e-3),
        DecodingConfig(temperature=1.0, top_h=0.5, min_p=0.01, continue_after_eos=True),
    ]
    where, num_images = torch.device(device), 40
    rows = torch.arange(num_images * len(configs), device=where)
    start = torch.ones((num_images, 2), dtype=torch.long, device=where)
    vocabulary = Vocabulary(ends=(0, 1), pad=2)
    sampler = TokenSampler(configs, num_images, range(num_images), start, 30, vocabulary, where)
    logits = torch.randn(len(rows), 200, generator=torch.Generator().manual_seed(0)).to(where)
    alive = torch.ones(len(rows), dtype=torch.bool, device=where)

    def step(length: int) -> None:
        nonlocal alive
        chosen = sampler.sample(logits, rows, length)
        alive = alive & ~sampler.has_ended(chosen, rows, alive, length + 1)

    step(2)  # groups the rows, which waits
    with refuse_waiting(device) as refuse:
        refuse(True)
        for length in range(3, 10):
            step(length)
        refuse(False)
    return f"{int(alive.sum())} of {len(rows)} rows left"
