"""The web pages in a real browser: every page, filters, live changes, themes and widths.

``PAGES_SCREENSHOTS=FOLDER`` keeps the screenshots to look at.
"""

from __future__ import annotations

import dataclasses
import os
import re
import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import Run, run_checked
from page_sweeps import FAILED, PARAMS, trial, write_sweep
from paths import ROOT
from PIL import Image
from served import chromium, served_pages
from sweeps_with_images import draw_colors, write_captioning, write_retrieval

from orchestrator.control.drivers import Progress, RunningTrial, new_driver, write_driver
from results.storage.filesystem import open_filesystem
from results.storage.run_lock import run_lock
from results.storage.store import SweepStore

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = {"wide": 1280, "phone": 390}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("runs"))
    write_sweep(folder, pictures=True)
    write_sweep(folder, "other")
    data = draw_colors(tmp_path_factory.mktemp("data"))
    for write in (write_captioning, write_retrieval):
        sweep = write(Path(folder), data)
        task, trial_id = sweep.manifest.task, sweep.rows()[0]["trial_id"]
        PAGES[task] = f"/sweeps/{task}/s/trials/{trial_id}"
    return folder


@pytest.fixture(scope="module")
def address(root: str) -> Iterator[str]:
    with served_pages(root) as found:
        yield found.rstrip("/")


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """A page without a script error, a refused resource or a request that leaves the machine."""
    context = browser.new_context(**options)
    page = context.new_page()
    problems: list[str] = []
    local = re.compile(r"(http://127\.0\.0\.1:\d+/|file:|data:|blob:)")
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    page.on(
        "request",
        lambda request: None if local.match(request.url) else problems.append(request.url),
    )
    page.set_default_timeout(60_000)
    try:
        page.goto(url)
        yield page
        assert not problems
    finally:
        context.close()


def wait_for_charts(page: Page) -> None:
    page.locator(".charts[aria-busy=false]").first.wait_for(state="attached")


PAGES = {  # the fixture ``root`` sets those of captioning and retrieval
    "sweeps": "/",
    "sweep": "/sweeps/toy/s",
    "trial": "/sweeps/toy/s/trials/0000000000000000",
    "failed": f"/sweeps/toy/s/trials/{FAILED}",
    "comparison": "/compare?sweep=toy/s&sweep=toy/other",
    "captioning": "",
    "retrieval": "",
}


@pytest.mark.parametrize("name", list(PAGES))
def test_every_page_fits_in_both_themes_and_widths(
    browser: Browser, address: str, name: str, tmp_path: Path
) -> None:
    folder = Path(os.environ.get("PAGES_SCREENSHOTS", tmp_path))
    for width, pixels in WIDTHS.items():
        for theme in ("light", "dark"):
            size: Any = {"width": pixels, "height": 800}
            with opened(browser, address + PAGES[name], viewport=size, color_scheme=theme) as page:
                if page.locator("[data-charts-url]").count():
                    wait_for_charts(page)
                overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert overflow <= 0
                assert page.locator("img").count() == NUM_IMAGES.get(name, 0)
                for image in page.locator("img").all():
                    image.scroll_into_view_if_needed()
                    page.wait_for_function("e => e.naturalWidth > 0", arg=image.element_handle())
                assert not page.evaluate(WIDER_THAN_FRAME)
                assert not page.evaluate(LOW_CONTRAST)
                page.screenshot(path=folder / f"{name}-{width}-{theme}.png", full_page=True)


NUM_IMAGES = {"trial": 10, "captioning": 6, "retrieval": 4}

#: Titles of charts that were drawn wider than their frames, as when the columns change meanwhile.
WIDER_THAN_FRAME = """() => [...document.querySelectorAll(".chart")]
  .filter((chart) => [...chart.querySelectorAll(".main-svg")].some((drawn) =>
    drawn.getBoundingClientRect().right > chart.getBoundingClientRect().right))
  .map((chart) => chart.querySelector("figcaption").textContent)"""

#: Texts of the page, without charts, whose contrast with the background is below 4.5 to 1.
LOW_CONTRAST = """() => {
  const channel = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const luminance = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  };
  const back = luminance(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll("main *")]
    .filter((e) => !e.closest(".plot") && e.tagName !== "OPTION" && e.tagName !== "BUTTON")
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
    .filter((e) => {
      const front = luminance(getComputedStyle(e).color);
      const [high, low] = front > back ? [front, back] : [back, front];
      return (high + 0.05) / (low + 0.05) < 4.5;
    })
    .map((e) => e.outerHTML.slice(0, 80));
}"""


def test_filters_and_sorting_are_in_the_address(browser: Browser, address: str) -> None:
    with opened(browser, f"{address}/sweeps/toy/s") as page:
        wait_for_charts(page)
        assert page.locator("#trials tbody tr").count() == 12
        page.locator("select[name='param.loss']").select_option("siglip")
        page.wait_for_url("**?param.loss=siglip")
        wait_for_charts(page)
        assert page.locator("#trials tbody tr").count() == 6
        assert page.locator("#chart-parallel").count() == 0  # of one parameter
        page.locator("#trials th a", has_text="R@1").click()
        page.wait_for_url("**sort=-metric.r1*")
        scores = page.locator("#trials tbody tr td:nth-child(6)").all_inner_texts()
        assert scores == sorted(scores, reverse=True)
        bookmark = page.url
    with opened(browser, bookmark) as page:
        assert page.locator("#trials tbody tr td:nth-child(6)").all_inner_texts() == scores
        page.get_by_text("Clear").click()
        page.wait_for_url(lambda url: "loss" not in url)
        assert page.locator("#trials tbody tr").count() == 12


def test_the_keyboard_reaches_everything(browser: Browser, address: str) -> None:
    with opened(browser, f"{address}/sweeps/toy/s") as page:
        wait_for_charts(page)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        seen = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            seen.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none" or page.evaluate("document.activeElement === document.body")
        assert {"theme", "wide"} <= seen


def test_the_chosen_theme_stays(browser: Browser, address: str) -> None:
    with opened(browser, address, color_scheme="light") as page:
        background = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(background)
        page.get_by_role("button", name="Switch theme").click()
        dark = page.evaluate(background)
        assert dark != light
        page.goto(f"{address}/sweeps/toy/s")
        assert page.evaluate(background) == dark


def test_sweeps_are_selected_for_a_comparison(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        page.get_by_label("toy/s", exact=True).check()
        page.get_by_label("toy/other", exact=True).check()
        page.get_by_role("button", name="Compare").click()
        page.wait_for_url("**/compare?*")
        assert page.get_by_text("6 configurations in both").count() == 1


def test_a_line_of_a_chart_can_be_hidden(browser: Browser, address: str) -> None:
    with opened(browser, f"{address}/sweeps/toy/s") as page:
        wait_for_charts(page)
        curve = page.locator("#chart-curve-0")
        shown = curve.locator(".scatterlayer .trace").count()
        curve.locator(".legend button").first.click()
        assert curve.locator(".legend button").first.get_attribute("aria-pressed") == "false"
        curve.locator(f".scatterlayer .trace >> nth={shown - 1}").wait_for(state="detached")


def test_a_page_shows_a_new_trial_by_itself(browser: Browser, tmp_path: Path) -> None:
    write_sweep(str(tmp_path), num_trials=20)
    with (
        served_pages(str(tmp_path)) as address,
        opened(browser, f"{address}sweeps/toy/s?param.loss=siglip") as page,
    ):
        wait_for_charts(page)
        page.get_by_label("Find").focus()
        page.evaluate("window.stays = true")
        store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
        store.add([trial(99, 1e-2, "siglip", 2)])
        page.locator("#trials tbody tr >> nth=6").wait_for()
        assert page.get_by_text("13 of 20 trials").count() == 1
        assert page.evaluate("window.stays")  # it was not loaded again
        assert page.evaluate("document.activeElement.name") == "find"


def test_curves_of_running_trials_grow(browser: Browser, tmp_path: Path) -> None:
    write_sweep(str(tmp_path), num_trials=20)
    filesystem, base = open_filesystem(str(tmp_path))
    path, driver = f"{base}/toy/s", new_driver("toy/s", "local", "log")

    def write(*values: float) -> None:
        running = RunningTrial(
            trial_id="a" * 16,
            parameters="lr=1e-3",
            step=f"epoch {len(values)}/9",
            metrics=f"{values[-1]}",
            curve=tuple(enumerate(values, start=1)),
            is_waiting=False,
        )
        progress = Progress(metric="R@1", step_unit="epoch", running=(running,))
        write_driver(filesystem, path, dataclasses.replace(driver, progress=progress))

    with run_lock(filesystem, path):
        write(0.1, 0.2)
        with (
            served_pages(str(tmp_path)) as address,
            opened(browser, f"{address}sweeps/toy/s") as page,
        ):
            page.locator("#running-table", has_text="epoch 2/9").wait_for()
            page.locator("#chart-running .scatterlayer .trace").wait_for()
            write(0.1, 0.2, 0.4)
            page.locator("#running-table", has_text="epoch 3/9").wait_for()
            drawn = "document.querySelector('#chart-running .plot').data[0].y"
            page.wait_for_function(f"{drawn}.length === 3")
            assert page.evaluate(drawn) == [0.1, 0.2, 0.4]
            write_driver(filesystem, path, dataclasses.replace(driver, state="ended"))
            page.locator("#running").wait_for(state="hidden")


def test_a_running_sweep_is_watched_to_its_end(browser: Browser, tmp_path: Path) -> None:
    run = Run(tmp_path, "--engine", "local")
    run.wait_for(lambda: (tmp_path / "out" / "fragile" / "s" / "sweep.json").is_file())
    with (
        served_pages(str(tmp_path / "out")) as address,
        opened(browser, f"{address}sweeps/fragile/s") as page,
    ):
        run.end()
        page.locator("#head .state", has_text="complete").wait_for()
        assert page.locator("#trials tbody tr").count() == 12
        page.goto(address)
        assert "12/12" in page.locator("#sweeps tbody tr").inner_text()


def test_a_token_opens_another_address(browser: Browser, root: str) -> None:
    with served_pages(root, "--host", "0.0.0.0") as address:
        local = address.replace("0.0.0.0", "127.0.0.1")
        with opened(browser, local) as page:
            assert "token" not in page.url
            page.locator("#sweeps a", has_text="toy/s").click()
            wait_for_charts(page)
        context = browser.new_context()
        answer = context.new_page().goto(local.partition("?")[0])
        assert answer is not None
        assert answer.status == 401
        context.close()


def test_the_offline_file_works_without_a_server(
    browser: Browser, root: str, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    run_checked("page", "toy/s", str(file), "--out", root)
    with opened(browser, file.as_uri()) as page:
        wait_for_charts(page)
        assert page.locator(".chart").count() == 8
        page.locator("#table-1 a").first.click()
        part = page.locator("details.trial[open]")
        part.locator(".js-plotly-plot").wait_for()
        assert part.locator("img").count() == 10


def test_the_documentation_shows_the_pages_of_today(
    browser: Browser, root: str, tmp_path: Path
) -> None:
    """The script that takes its screenshots works, and writes those that the guide shows."""
    script = runpy.run_path(str(ROOT / "docs" / "images" / "make_pages.py"))
    script["take"](browser, root, "retrieval", "s", tmp_path)
    written = {file.name for file in tmp_path.iterdir()}
    guide = (ROOT / "docs" / "how-to" / "web-pages.md").read_text()
    assert written == set(re.findall(r"images/(pages-[\w-]+\.png)", guide))
    for name in written:
        with Image.open(tmp_path / name) as new, Image.open(ROOT / "docs/images" / name) as kept:
            assert new.size == kept.size
