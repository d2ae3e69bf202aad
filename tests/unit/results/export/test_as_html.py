"""Tables as an HTML page."""

from __future__ import annotations

import base64
import html.parser
import io

from exported_tables import NASTY, document_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from results.export import (
    FORMATS,
    Document,
    Picture,
    as_html,
    make_document,
    sweep_document,
)
from results.storage.reading import Sweep


class Page(html.parser.HTMLParser):
    """The tags, texts and references of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.sources: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "action"):
                self.sources.append(value or "")
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page(documents: list[Document]) -> Page:
    found = Page(FORMATS["html"](documents))
    assert not found.open
    assert "script" not in found.tags
    return found


def test_page_embeds_its_figures(sweep: Sweep) -> None:
    found = page([sweep_document(sweep)])
    assert found.sources
    for source in found.sources:
        kind, _, data = source.partition(";base64,")
        blob = base64.b64decode(data, validate=True)
        assert kind in ("data:image/svg+xml", "data:image/png")
        assert blob.startswith(b"<?xml") if "svg" in kind else blob.startswith(b"\x89PNG")
    style = as_html._STYLE
    assert "url(" not in style
    assert "prefers-color-scheme: dark" in style


def test_page_embeds_pictures_and_reports_damaged_ones() -> None:
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, format="PNG")
    pictures = [
        Picture(title="<b>", media_type="image/png", blob=out.getvalue()),
        Picture(title="x", error="<i> is damaged"),
    ]
    document = make_document("toy", "s", [], lambda: pictures)
    found = page([document])
    assert len(found.sources) == 1
    assert "b" not in found.tags
    assert "x: <i> is damaged" in found.texts


@settings(max_examples=30)
@given(st.lists(st.text(max_size=20), min_size=2, max_size=3))
@example(NASTY[:3])
@example(NASTY[3:6])
def test_html_shows_any_text_unchanged(cells: list[str]) -> None:
    found = page([document_of(cells, caption=cells[:1], title=f"t {cells[1]}")])
    assert found.tags <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "div", "table", "thead"),
        *("tr", "th", "tbody", "td", "p"),
    }
    text = "".join(found.texts)
    for cell in cells:
        # Like a browser, the parser turns carriage returns into line feeds.
        assert cell.replace("\r\n", "\n") in text or cell in text
