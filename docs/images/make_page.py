"""Take the screenshot of docs/how-to/web-pages.md from a real run: a minute.

    python docs/images/make_page.py

It needs playwright and Chromium.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from orchestrator.running.sweep import run_sweep
from orchestrator.serving.offline import offline_page
from results.storage.reading import read_sweep

FILE = Path(__file__).with_name("web-page.png")


def main() -> None:
    """Run the default sweep and write the picture."""
    with tempfile.TemporaryDirectory() as out, sync_playwright() as playwright:
        run_sweep(make_plan(Request(task="retrieval", engine="local", out=out)))
        page_file = Path(out) / "page.html"
        page_file.write_text(offline_page(read_sweep(out, "retrieval", "paper")))
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(
            viewport={"width": 1100, "height": 760}, device_scale_factor=1, color_scheme="light"
        )
        page.goto(page_file.as_uri())
        page.locator(".charts[aria-busy=false]").first.wait_for(state="attached")
        page.locator("h2", has_text="Charts").first.scroll_into_view_if_needed()
        page.evaluate("scrollBy(0, document.querySelector('.charts').getBoundingClientRect().top)")
        page.evaluate("scrollBy(0, -330)")  # the end of the tables, and the first charts
        page.wait_for_timeout(500)
        page.screenshot(path=FILE)
        browser.close()
    print(f"wrote {FILE}")


if __name__ == "__main__":
    main()
