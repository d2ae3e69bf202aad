"""HTML from templates: everything that is filled in is escaped."""

from __future__ import annotations

import functools
import gzip
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from results.extras import require

ASSETS = ("page.css", "page.js", "theme.js")


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("results.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def fill(template: str, **values: Any) -> str:
    """Return the HTML of a template with these values."""
    return _environment().get_template(template).render(**values)


def load_templates() -> None:
    """Compile all templates, so that no page waits for it."""
    for name in _environment().list_templates():
        _environment().get_template(name)


def asset(name: str) -> str:
    """Return the text of a style sheet or script, one of ``ASSETS``."""
    return (resources.files("results.page") / "assets" / name).read_text(encoding="utf-8")


def plotly_script() -> Path:
    """Return the file of Plotly's script, which comes with its Python package.

    Raises:
        RequestError: if plotly is not installed.
    """
    require("a page", "plotly")
    return Path(str(resources.files("plotly") / "package_data" / "plotly.min.js"))


@functools.cache
def compressed_plotly() -> bytes:
    """Return Plotly's script compressed by gzip, which takes too long to do for each browser.

    Raises:
        RequestError: if plotly is not installed.
    """
    return gzip.compress(plotly_script().read_bytes(), 6, mtime=0)
