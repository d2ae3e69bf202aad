"""The mailbox between driver and workers."""

from __future__ import annotations

import asyncio

import pytest

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
