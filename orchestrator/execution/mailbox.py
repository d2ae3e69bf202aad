"""What the driver and the workers leave for each other. An actor under Ray; plain asyncio here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from orchestrator.execution.dispatcher import Contents, Snapshot, Worker
from orchestrator.execution.events import StepProgress

PATIENCE = 1.0  # seconds that a worker waits for its pack before it reports to Tune without events


class Mailbox:
    """Holds packs until their workers take them, and progress until the driver looks.

    It may be lost: the driver puts a pack there again when its worker still waits for it.
    """

    def __init__(self) -> None:
        self._packs: dict[int, Contents] = {}
        self._news = asyncio.Condition()
        self._taken: dict[int, Worker] = {}
        self._halt = asyncio.Event()
        self._steps: dict[int, StepProgress] = {}
        self._stages: dict[str, float] = {}

    async def put(self, pack: int, contents: Contents, over: Sequence[int]) -> None:
        """A pack for the worker that waits for it; other packs are ``over``."""
        for other in over:
            self._packs.pop(other, None)
        async with self._news:
            self._packs[pack] = contents
            self._news.notify_all()

    async def take(self, pack: int, worker: Worker) -> Contents | None:
        """What the worker is to run; None if it is not there within ``PATIENCE``."""
        async with self._news:
            there = self._news.wait_for(lambda: pack in self._packs)
            try:
                await asyncio.wait_for(there, PATIENCE)
            except TimeoutError:
                return None
        self._taken[pack] = worker
        return self._packs[pack]

    async def halt(self) -> None:
        """The sweep is to stop."""
        self._halt.set()

    async def wait_for_halt(self) -> None:
        """Return when the sweep is to stop."""
        await self._halt.wait()

    async def report_step(self, pack: int, progress: StepProgress) -> None:
        """A pack is within a step."""
        self._steps[pack] = progress

    async def report_stage(self, key: str, share: float) -> None:
        """So much of a stage is computed."""
        self._stages[key] = share

    async def look(self) -> Snapshot:
        """What is new; it is not kept."""
        found = Snapshot(taken=self._taken, steps=list(self._steps.values()), stages=self._stages)
        self._taken, self._steps, self._stages = {}, {}, {}
        return found
