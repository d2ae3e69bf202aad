"""One process that exchanges nothing, and the share of one of several."""

from __future__ import annotations

import torch

from tasks.process_group import ALONE, ProcessGroup, current, joined


def test_one_process_exchanges_nothing() -> None:
    values = torch.arange(6.0, requires_grad=True)
    assert current() is ALONE
    assert ALONE.share(values) is values
    assert torch.equal(ALONE.gather(values), values)
    assert not ALONE.gather(values).requires_grad
    assert ALONE.add_up([values])[0] is values
    assert ALONE.largest(7, "cpu") == 7


def test_shares_in_order_are_the_batch() -> None:
    batch = torch.arange(2 * 6).reshape(2, 6)
    parts = [ProcessGroup(rank, 3).share(batch, dim=1) for rank in range(3)]
    assert torch.equal(torch.cat(parts, dim=1), batch)
    assert parts[1].tolist() == [[2, 3], [8, 9]]


def test_group_is_current_inside_its_block_only() -> None:
    with joined(ProcessGroup(1, 2)):
        assert current() == ProcessGroup(1, 2)
    assert current() is ALONE
