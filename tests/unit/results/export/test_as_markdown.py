"""Tables as Markdown, parsed by markdown-it."""

from __future__ import annotations

import pytest
from exported_tables import NASTY, document_of
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from results.export import (
    FORMATS,
    as_markdown,
)

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def markdown_texts(source: str) -> list[str]:
    """The plain text of every inline part, in which there must be no markup."""
    found = []
    for token in MARKDOWN.parse(source):
        if token.type == "inline":
            kinds = {child.type for child in token.children or []}
            assert kinds <= {"text", "text_special", "hardbreak"}, token.content
            found.append("".join(child.content or "\n" for child in token.children or []))
    return found


@given(st.lists(st.text(max_size=20), min_size=2, max_size=3), st.text(max_size=20))
@example(NASTY[:2], NASTY[2])
@example([NASTY[6], NASTY[7]], NASTY[9])
def test_markdown_shows_any_text_unchanged(cells: list[str], caption: str) -> None:
    document = document_of(cells, caption=[f"c {caption}"])
    texts = markdown_texts(FORMATS["markdown"]([document]))
    shown = [" ".join(cell.split()) for cell in cells]
    assert texts[:1] == ["t"]
    assert texts[1 + len(cells) : 1 + 2 * len(cells)] == [plain(cell) for cell in shown]
    assert texts[-1].strip() == plain(" ".join(f"c {caption}".split()))


def plain(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize("text", NASTY)
def test_caption_line_stays_a_paragraph(text: str) -> None:
    source = FORMATS["markdown"]([document_of(["x"], caption=[text, text])])
    kinds = {token.type for token in MARKDOWN.parse(source)}
    assert not kinds & {"bullet_list_open", "ordered_list_open", "fence", "html_block"}
    assert markdown_texts(source)[-1].split() == [*text.split(), *text.split()]


def test_markdown_escapes_only_what_is_needed() -> None:
    assert as_markdown.escape("embed_dim [52.1, 54.6] 95 % ★ 8.28") == (
        "embed_dim [52.1, 54.6] 95 % ★ 8.28"
    )
