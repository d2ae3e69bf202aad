"""Take the screenshots of the web pages: ``python docs/images/make_pages.py`` (two minutes).

They show the default sweep of retrieval. ``make_pages.py OUT`` uses the sweep under OUT instead of
running it. Needs Chromium and Playwright, as the tests of the pages do.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from served import chromium, served_pages  # noqa: E402

from orchestrator.request import Request  # noqa: E402
from orchestrator.running.plan import make_plan  # noqa: E402
from orchestrator.running.sweep import run_sweep  # noqa: E402
from results.figures.charts import rank  # noqa: E402
from results.storage.reading import read_sweep  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TASK, NAME = "retrieval", "paper"
WIDE, PHONE = {"width": 1200, "height": 640}, {"width": 390, "height": 640}
#: Images load when they come into sight.
IMAGES_LOADED = """() => [...document.images].every((image) =>
  image.complete || image.getBoundingClientRect().top > innerHeight)"""
#: file -> (page, theme, size, what is at the top)
PICTURES = {
    "pages-sweep-light.png": ("sweep", "light", WIDE, "#main"),
    "pages-charts-dark.png": ("sweep", "dark", WIDE, ".charts[data-charts-url]"),
    "pages-trial-light.png": ("trial", "light", WIDE, "#rest"),
    "pages-sweep-phone.png": ("sweep", "dark", PHONE, "#main"),
    "pages-trial-phone.png": ("trial", "light", PHONE, "#rest"),
}


def take(browser: Browser, root: str, task: str, name: str, folder: Path) -> None:
    """Write the pictures of a sweep and of its best trial."""
    sweep = read_sweep(root, task, name)
    best = rank(sweep, sweep.current_rows())[0]["trial_id"]
    with served_pages(root) as address:
        pages = {"sweep": f"sweeps/{task}/{name}", "trial": f"sweeps/{task}/{name}/trials/{best}"}
        for file, (page, theme, size, top) in PICTURES.items():
            _take(browser, f"{address}{pages[page]}", theme, size, top, folder / file)


def _take(browser: Browser, url: str, theme: Any, size: Any, top: str, file: Path) -> None:
    opened = browser.new_page(viewport=size, color_scheme=theme)
    opened.set_default_timeout(60_000)
    opened.goto(url)
    opened.locator("[data-charts-url][aria-busy=false]").wait_for(state="attached")
    opened.locator(top).evaluate("e => e.scrollIntoView()")
    opened.wait_for_function(IMAGES_LOADED)
    opened.screenshot(path=file)
    opened.close()


def main() -> None:
    """Run the default sweep, if no folder is given, and write the pictures."""
    with tempfile.TemporaryDirectory() as temporary:
        out = sys.argv[1] if len(sys.argv) > 1 else temporary
        if out == temporary:
            run_sweep(make_plan(Request(task=TASK, engine="local", out=out)))
        with chromium() as browser:
            take(browser, out, TASK, NAME, Path(__file__).parent)
    print(f"wrote {', '.join(PICTURES)}")


if __name__ == "__main__":
    main()
