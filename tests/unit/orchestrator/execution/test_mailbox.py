"""The mailbox between driver and workers."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.execution.dispatcher import Orders
from orchestrator.execution.mailbox import Mailbox


def test_mailbox_waits_and_delivers_again_to_a_new_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.execution.mailbox.GET_TIMEOUT", 0.05)

    async def post() -> None:
        mailbox = Mailbox()
        assert await mailbox.get(1, "w") is None
        waiting = asyncio.create_task(mailbox.get(1, "w"))
        await asyncio.sleep(0)
        await mailbox.put(1, ((), {}), finished_packs=[])
        assert await waiting == ((), {})
        assert await mailbox.get(1, "x") == ((), {})  # another worker, after the first was lost
        assert (await mailbox.snapshot()).workers == {1: "x"}
        assert not (await mailbox.snapshot()).workers
        await mailbox.put(2, ((), {}), finished_packs=[1])
        assert await mailbox.get(1, "w") is None

    asyncio.run(post())


def test_mailbox_delivers_no_pack_during_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.execution.mailbox.GET_TIMEOUT", 0.05)

    async def post() -> None:
        mailbox = Mailbox()
        await mailbox.put(1, ((), {}), finished_packs=[])
        assert await mailbox.get(1, "w") == ((), {})
        await mailbox.order(Orders(number=1, is_paused=True))
        snapshot = await mailbox.snapshot()
        assert (snapshot.workers, snapshot.orders) == ({1: "w"}, 1)
        await mailbox.put(2, ((), {}), finished_packs=[])
        assert await mailbox.get(2, "w") is None
        waiting = asyncio.create_task(mailbox.get(2, "w"))
        await asyncio.sleep(0)
        await mailbox.order(Orders(number=2))
        assert await waiting == ((), {})

    asyncio.run(post())


def test_mailbox_delivers_only_newer_orders() -> None:
    async def post() -> None:
        mailbox = Mailbox()
        waiting = asyncio.create_task(mailbox.wait_for_orders(0))
        await asyncio.sleep(0)
        assert not waiting.done()
        await mailbox.order(Orders(number=2, is_paused=True))
        assert (await waiting).is_paused
        await mailbox.order(Orders(number=1))  # late
        assert (await mailbox.wait_for_orders(0)).number == 2  # a worker that starts now
        again = asyncio.create_task(mailbox.wait_for_orders(2))
        await asyncio.sleep(0)
        assert not again.done()
        await mailbox.order(Orders(number=3))
        assert not (await again).is_paused

    asyncio.run(post())
