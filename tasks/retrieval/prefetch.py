"""Prepare the next batches in threads while the device computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

MAX_ITEMS = 4  # that are made ahead: batches in pinned memory, which is scarce
Item = TypeVar("Item")
Made = TypeVar("Made")


def num_threads(device: str) -> int:
    """Return the number of threads that prepare batches; 0 on a CPU, which has no time to wait."""
    if not device.startswith("cuda"):
        return 0
    return min(MAX_ITEMS, torch.get_num_threads())


def prefetch(
    make: Callable[[Item], Made], items: Iterable[Item], threads: int
) -> Generator[Made, None, None]:
    """Yield ``make(item)`` of each item in order, made ahead in threads if there are any.

    At most one item more than there are threads, and at most ``MAX_ITEMS``, are made ahead. An
    exception of ``make`` is raised here. Reading and resizing images runs in parallel, because
    Pillow and torch release Python's lock.
    """
    if threads == 0:
        yield from map(make, items)
        return
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) > min(threads, MAX_ITEMS - 1):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
