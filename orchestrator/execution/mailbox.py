"""The queue between driver and workers. Ray runs it as an actor; this module does not use Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from orchestrator.execution.dispatcher import Contents, Orders, Snapshot, Worker
from orchestrator.execution.events import StepProgress

GET_TIMEOUT = 1.0  # seconds to wait for a pack, after which a worker reports without events


class Mailbox:
    """Holds packs for the workers, and the workers' progress for the driver.

    The mailbox may be lost. The driver then adds the packs again for which workers still wait.
    """

    def __init__(self) -> None:
        self._packs: dict[int, Contents] = {}
        self._orders = Orders()
        self._changed = asyncio.Condition()  # packs or orders
        self._workers: dict[int, Worker] = {}
        self._halt = asyncio.Event()
        self._steps: dict[int, StepProgress] = {}
        self._stages: dict[str, float] = {}

    async def put(self, pack: int, contents: Contents, finished_packs: Sequence[int]) -> None:
        """Add a pack, and delete finished ones."""
        for other in finished_packs:
            self._packs.pop(other, None)
        async with self._changed:
            self._packs[pack] = contents
            self._changed.notify_all()

    async def get(self, pack: int, worker: Worker) -> Contents | None:
        """Return the contents of a pack, None if they do not arrive within ``GET_TIMEOUT``.

        During a pause no worker gets a pack: it might make a step before it reads its orders.
        """
        async with self._changed:
            available = self._changed.wait_for(
                lambda: pack in self._packs and not self._orders.is_paused
            )
            try:
                await asyncio.wait_for(available, GET_TIMEOUT)
            except TimeoutError:
                return None
        self._workers[pack] = worker
        return self._packs[pack]

    async def halt(self) -> None:
        """Tell all workers that the sweep stops."""
        self._halt.set()

    async def wait_for_halt(self) -> None:
        """Wait until the sweep stops."""
        await self._halt.wait()

    async def order(self, orders: Orders) -> None:
        """Set what workers must do. Older orders than the current ones have no effect."""
        if orders.number > self._orders.number:
            async with self._changed:
                self._orders = orders
                self._changed.notify_all()

    async def wait_for_orders(self, number: int) -> Orders:
        """Wait for orders with a higher number, and return them."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._orders.number > number)
            return self._orders

    async def report_step(self, pack: int, progress: StepProgress) -> None:
        """Store the progress of a pack within its step."""
        self._steps[pack] = progress

    async def report_stage(self, key: str, share: float) -> None:
        """Store the progress of a stage, 0 to 1."""
        self._stages[key] = share

    async def snapshot(self) -> Snapshot:
        """Return what was reported since the last snapshot, and clear it."""
        snapshot = Snapshot(
            workers=self._workers,
            steps=list(self._steps.values()),
            stages=self._stages,
            orders=self._orders.number,
        )
        self._workers, self._steps, self._stages = {}, {}, {}
        return snapshot
