"""Wrapping of text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from results.render.wrapping import NBSP, wrap


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.sampled_from(f"ab /-{NBSP}\n"), max_size=80), width=st.integers(1, 30))
def test_wrap_loses_only_spaces_at_line_ends(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split(" ")) == "".join("".join(text.split("\n")).split(" "))


def test_wrap_breaks_long_words_after_a_slash() -> None:
    assert wrap("in /a/long/path/that/goes/on here", 12) == [
        "in",
        "/a/long/",
        "path/that/",
        "goes/on here",
    ]
