"""The processes that compute one trial together, each on its own GPU, and what they exchange.

A process is called a rank, as in ``torch.distributed``. A loop asks ``current()`` for its own rank,
takes its share of each batch, and exchanges the results. The engine runs the same step in all
ranks, inside ``joined``. Otherwise there is one rank, which exchanges nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tasks.contract.errors import TrialError

if TYPE_CHECKING:
    from torch import Tensor

BUCKET = 16 * 2**20  # numbers that are added up together, 64 MB of float32


class PeerError(TrialError):
    """Another rank has ended, or does not answer."""


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """The number of this rank, from 0, and the number of all. Rank 0 reports the results."""

    rank: int = 0
    size: int = 1

    def share(self, values: Tensor, dim: int = 0) -> Tensor:
        """Return this rank's part of a batch, whose size must be a multiple of ``size``."""
        return values if self.size == 1 else values.chunk(self.size, dim)[self.rank]

    def gather(self, values: Tensor) -> Tensor:
        """Return the parts [B / size, ...] of all ranks in order, [B, ...], without gradients."""
        values = values.detach()
        if self.size == 1:
            return values
        import torch
        import torch.distributed as dist

        parts = [torch.empty_like(values) for _ in range(self.size)]
        _exchange(lambda: dist.all_gather(parts, values.contiguous()))
        return torch.cat(parts)

    def add_up(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Return the sums of tensors over all ranks, which are the same numbers in each rank.

        The tensors of all ranks must have the same shapes.
        """
        if self.size == 1:
            return list(values)
        import torch
        import torch.distributed as dist

        buckets: list[list[Tensor]] = [[]]
        for value in values:
            if sum(each.numel() for each in buckets[-1]) >= BUCKET:
                buckets.append([])
            buckets[-1].append(value)
        flat = [torch.cat([each.reshape(-1) for each in bucket]) for bucket in buckets if bucket]
        sent = [_exchange(partial(dist.all_reduce, one, async_op=True)) for one in flat]
        sums: list[Tensor] = []
        for one, work, bucket in zip(flat, sent, buckets, strict=False):
            _exchange(work.wait)
            parts = torch.split(one, [each.numel() for each in bucket])
            sums += [part.view(each.shape) for part, each in zip(parts, bucket, strict=True)]
        return sums

    def largest(self, number: int, device: str) -> int:
        """Return the largest of the numbers of all ranks."""
        if self.size == 1:
            return number
        import torch
        import torch.distributed as dist

        found = torch.tensor(number, device=device)
        _exchange(lambda: dist.all_reduce(found, dist.ReduceOp.MAX))
        return int(found)

    def send(self, values: Sequence[Tensor]) -> None:
        """Copy the tensors of rank 0 into those of the other ranks, in place."""
        import torch.distributed as dist

        for value in values:
            _exchange(partial(dist.broadcast, value, 0))


def _exchange(call: Callable[[], Any]) -> Any:
    """Call a function of ``torch.distributed``."""
    try:
        return call()
    except RuntimeError as error:
        raise PeerError(f"another process of the trial does not answer: {error}") from error


ALONE = ProcessGroup()
_current: ContextVar[ProcessGroup] = ContextVar("process_group", default=ALONE)


def current() -> ProcessGroup:
    """Return the group of this process."""
    return _current.get()


@contextmanager
def joined(group: ProcessGroup) -> Iterator[None]:
    """Let ``current`` return ``group`` until the end of the block."""
    token = _current.set(group)
    try:
        yield
    finally:
        _current.reset(token)
