"""Interrupts of long loops."""

from __future__ import annotations

import pytest

from tasks.interrupt import Interrupted, check_interrupt, interruptible


def test_interrupt_is_not_caught_as_a_failed_trial() -> None:
    def step() -> None:
        try:
            check_interrupt()
        except Exception:
            pytest.fail("a task would have taken it for a failed trial")

    check_interrupt()
    with interruptible(lambda: True), pytest.raises(Interrupted):
        step()
    check_interrupt()
