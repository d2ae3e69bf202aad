"""Images of the data set next to the samples of a trial, on served pages and in a file."""

from __future__ import annotations

import base64
import io
import re
import traceback
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient
from sweeps_with_images import COLORS, draw_colors, write_both, write_captioning

from orchestrator.running.recorded import check_data
from orchestrator.serving import checked_data
from orchestrator.serving.app import make_app
from orchestrator.serving.library import Library
from orchestrator.serving.offline import offline_page
from results.page import page_images
from results.storage.reading import Sweep
from tasks.contract import Task, Trial


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sweep]:
    return write_both(tmp_path_factory.mktemp("images"))


def client(sweep: Sweep) -> TestClient:
    return TestClient(make_app(Library(sweep.root)), base_url="http://127.0.0.1:8088")


def address(sweep: Sweep) -> str:
    return f"/sweeps/{sweep.manifest.task}/s/trials/{sweep.rows()[0]['trial_id']}"


def images(page: str) -> list[tuple[str, str]]:
    """(source, text) of every image of a page."""
    found = re.findall(r'<img loading="lazy" src="([^"]*)" alt="([^"]*)"', page)
    return [(unescape(source), unescape(text)) for source, text in found]


def check_color(blob: bytes, image_id: str) -> None:
    """Check that the image is that of this id, and small."""
    with Image.open(io.BytesIO(blob)) as image:
        assert image.size == (256, 128)
        expected = Image.new("RGB", (1, 1), image_id.split()[0]).getpixel((0, 0))
        found = image.getpixel((128, 64))
    assert isinstance(found, tuple)
    assert isinstance(expected, tuple)
    assert all(abs(one - other) < 8 for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("task", ["captioning", "retrieval"])
def test_the_page_of_a_trial_shows_images_of_the_data_set(
    sweeps: dict[str, Sweep], task: str
) -> None:
    sweep = sweeps[task]
    opened = client(sweep)
    page = opened.get(address(sweep)).text
    found = images(page)
    assert len(found) == {"captioning": len(COLORS), "retrieval": 4}[task]
    for source, image_id in found:
        answer = opened.get(source)
        assert answer.headers["content-type"] == "image/jpeg"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        check_color(answer.content, image_id)
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def test_captions_are_next_to_their_image(sweeps: dict[str, Sweep]) -> None:
    page = client(sweeps["captioning"]).get(address(sweeps["captioning"])).text
    rows = re.findall(r'<tr><td>\s*<div class="ranked">.*?</tr>', page, re.DOTALL)
    assert len(rows) == len(COLORS)
    for row, color in zip(rows, reversed(COLORS), strict=True):  # the highest score first
        assert f"{color}+%26.png" in row
        assert f"a {color} &lt;b&gt;field" in row
        assert f"a {color} field in val" in row


def test_rankings_mark_what_is_right(sweeps: dict[str, Sweep]) -> None:
    page = client(sweeps["retrieval"]).get(address(sweeps["retrieval"])).text
    assert page.index("Texts and the images ranked first") < page.index("Images and the texts")
    marked = re.findall(
        r'<figure class="marked"><img [^>]*alt="([^"]*)"[^>]*><figcaption>right', page
    )
    assert marked == ["orange &amp;.png"]
    assert "<li>a blue field (right)</li>" in page
    assert "<li>&lt;b&gt;a red field&lt;/b&gt;</li>" in page


def test_an_unknown_image_is_not_found(sweeps: dict[str, Sweep]) -> None:
    sweep = sweeps["retrieval"]
    for image_id in ("none.png", "", "../val/red &.png", "val/red &.png"):
        answer = client(sweep).get(f"{address(sweep)}/image", params={"id": image_id})
        assert answer.status_code == 404
        assert "has no image" in answer.text


def test_images_of_changed_or_missing_data_are_not_shown(tmp_path: Path) -> None:
    data = draw_colors(tmp_path / "data")
    sweep = write_captioning(tmp_path / "out", data)
    Image.new("RGB", (320, 160), "white").save(data / "val" / "red &.png")
    page = client(sweep).get(address(sweep)).text
    assert not images(page)
    assert "Images of the data set are not shown: the data" in page
    assert "has changed since the sweep" in page
    assert "a red &lt;b&gt;field" in page  # the captions are stored
    data.rename(tmp_path / "elsewhere")
    page = client(sweep).get(address(sweep)).text
    assert not images(page)
    assert "no such folder" in page
    answer = client(sweep).get(f"{address(sweep)}/image", params={"id": "red &.png"})
    assert answer.status_code == 404


@pytest.fixture
def num_checks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return how many times data was checked, never while the text of a page is made."""
    checks = []

    def checked(task: Task, trial: Trial) -> None:
        frames = {frame.f_code.co_qualname for frame, _ in traceback.walk_stack(None)}
        assert "image_loader" in frames
        assert "Held.make" not in frames
        checks.append(trial.id)
        check_data(task, trial)

    monkeypatch.setattr(checked_data, "check_data", checked)
    return lambda: len(checks)


def test_data_is_checked_once_for_all_trials_and_images(
    tmp_path: Path, num_checks: Callable[[], int]
) -> None:
    sweep = write_captioning(tmp_path / "out", draw_colors(tmp_path / "data"), num_trials=3)
    opened = client(sweep)
    addresses = [f"/sweeps/captioning/s/trials/{row['trial_id']}" for row in sweep.rows()]
    assert len(addresses) == 3
    for each in addresses:
        found = images(opened.get(each).text)
        assert len(found) == len(COLORS)
        for source, image_id in found:
            check_color(opened.get(source).content, image_id)
    assert num_checks() == 1
    page = opened.get(addresses[0])
    again = opened.get(addresses[0], headers={"If-None-Match": page.headers["etag"]})
    assert again.status_code == 304
    assert len(images(offline_page(sweep))) == 3 * len(COLORS)
    assert num_checks() == 2


def test_pages_notice_that_data_changes_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_data, "MAX_AGE", 0.0)
    data = draw_colors(tmp_path / "data")
    sweep = write_captioning(tmp_path / "out", data)
    opened = client(sweep)
    page = opened.get(address(sweep))
    ((source, _), *_) = images(page.text)
    data.rename(tmp_path / "elsewhere")
    assert opened.get(source).status_code == 404
    missing = opened.get(address(sweep))
    assert not images(missing.text)
    again = opened.get(address(sweep), headers={"If-None-Match": missing.headers["etag"]})
    assert again.status_code == 304
    (tmp_path / "elsewhere").rename(data)
    back = opened.get(address(sweep), headers={"If-None-Match": missing.headers["etag"]})
    assert back.text == page.text
    assert opened.get(source).status_code == 200


@pytest.mark.parametrize("task", ["captioning", "retrieval"])
def test_a_file_contains_its_images(sweeps: dict[str, Sweep], task: str) -> None:
    found = images(offline_page(sweeps[task]))
    assert found
    for source, image_id in found:
        head, _, encoded = source.partition(",")
        assert head == "data:image/jpeg;base64"
        check_color(base64.b64decode(encoded), image_id)


def test_a_file_contains_only_so_many_images(
    sweeps: dict[str, Sweep], monkeypatch: pytest.MonkeyPatch
) -> None:
    every = images(offline_page(sweeps["captioning"]))
    monkeypatch.setattr(page_images, "MAX_BYTES", 2 * len(every[0][0]))
    some = images(offline_page(sweeps["captioning"]))
    assert 0 < len(some) < len(every)
