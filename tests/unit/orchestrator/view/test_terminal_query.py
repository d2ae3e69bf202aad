"""What a user types while the terminal answers."""

from __future__ import annotations

from orchestrator.view.terminal_query import typed_keys

ANSWER = b"\x1b_Gi=31;OK\x1b\\\x1b[6;20;9t\x1b[?62;c"


def test_no_part_of_an_answer_is_a_typed_key() -> None:
    for length in range(len(ANSWER) + 1):
        assert typed_keys(b"ls\n" + ANSWER[:length]) == b"ls\n"
    assert typed_keys(b"\x1b[A" + ANSWER) == b"\x1b[A"  # the arrow key
