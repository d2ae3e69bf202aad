"""Every page of the server, and how it notices changes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from page_sweeps import FAILED, PARAMS, trial, write_sweep
from starlette.testclient import TestClient

from orchestrator.control.drivers import Progress, RunningTrial, new_driver, write_driver
from orchestrator.serving import library as library_module
from orchestrator.serving.app import make_app
from orchestrator.serving.library import Library, UnknownSweepError
from orchestrator.serving.server import warm_up
from results.page.html import compressed_plotly, plotly_script
from results.storage.filesystem import open_filesystem
from results.storage.run_lock import run_lock
from results.storage.store import SweepStore

BASE = "http://127.0.0.1:8088"


@pytest.fixture
def root(tmp_path: Path) -> str:
    write_sweep(str(tmp_path))
    write_sweep(str(tmp_path), "other")
    return str(tmp_path)


@pytest.fixture
def client(root: str) -> TestClient:
    return TestClient(make_app(Library(root)), base_url=BASE)


PAGES = [
    "/",
    "/sweeps/toy/s",
    "/sweeps/toy/s?param.loss=siglip&sort=-metric.r1&find=1e&rows=all",
    "/sweeps/toy/s/trials/0000000000000000",
    f"/sweeps/toy/s/trials/{FAILED}",
    "/compare?sweep=toy/s&sweep=toy/other",
]


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_shown_once_for_each_version(client: TestClient, path: str) -> None:
    first = client.get(path)
    assert first.status_code == 200
    assert "<h1>" in first.text
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert not again.content


@pytest.mark.parametrize("path", [*PAGES, "/sweeps/toy/s/charts", "/assets/page.js", "/nothing"])
def test_no_answer_allows_other_servers_or_inline_scripts(client: TestClient, path: str) -> None:
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    if "html" in answer.headers["content-type"]:
        assert "http" not in answer.text.replace("https://", "http").partition("<main")[0]


def test_charts_are_those_of_the_selected_trials(client: TestClient) -> None:
    every = client.get("/sweeps/toy/s/charts").json()
    some = client.get("/sweeps/toy/s/charts?param.loss=siglip").json()
    assert {chart["id"] for chart in some} < {chart["id"] for chart in every}
    (curve,) = client.get("/sweeps/toy/s/trials/0000000000000000/charts").json()
    assert curve["traces"]
    page = client.get("/sweeps/toy/s?param.loss=siglip&page=2").text
    assert 'data-charts-url="/sweeps/toy/s/charts?param.loss=siglip"' in page


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/sweeps/toy/no", 404, "no sweep"),
        ("/sweeps/toy/..", 404, ""),
        ("/sweeps/%2e%2e/etc", 404, ""),
        ("/sweeps/toy/s/trials/zzz", 404, "no trial"),
        ("/compare", 400, "Select two"),
        ("/compare?sweep=toy/s&sweep=toy", 404, "does not exist"),
        ("/assets/page.html", 404, ""),
        ("/assets/..%2ftemplates%2fbase.html", 404, ""),
    ],
)
def test_what_is_not_there_is_explained(
    client: TestClient, path: str, status: int, words: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert words in answer.text


def test_nothing_can_be_written(client: TestClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/sweeps/toy/s").status_code == 405


def test_a_damaged_sweep_is_listed_and_explained(client: TestClient, root: str) -> None:
    (Path(root) / "toy" / "other" / "sweep.json").write_text("{")
    page = client.get("/")
    assert page.status_code == 200
    assert "damaged" in page.text
    assert client.get("/sweeps/toy/s").status_code == 200
    answer = client.get("/sweeps/toy/other")
    assert answer.status_code == 404
    assert "damaged" in answer.text


def test_an_empty_folder_has_an_empty_list(tmp_path: Path) -> None:
    answer = TestClient(make_app(Library(str(tmp_path / "none"))), base_url=BASE).get("/")
    assert answer.status_code == 200
    assert "no sweeps" in answer.text


def test_a_version_changes_with_trials_and_with_the_run(root: str) -> None:
    library = Library(root)
    before = library.get("toy", "s")
    assert library.get("toy", "s") is before
    filesystem, base = open_filesystem(root)
    with run_lock(filesystem, f"{base}/toy/s"):
        running = library.get("toy", "s")
        assert running.version != before.version
        assert running.overview.state == "running"
        assert [held.line.is_running for held in library.all()] == [False, True]
    ended = library.get("toy", "s")
    assert ended.version != running.version
    store = SweepStore(root, "toy", "s", PARAMS)
    other = library.get("toy", "other").version
    store.write_manifest(ended.sweep.manifest if ended.sweep else pytest.fail("it is damaged"))
    assert library.get("toy", "s").version != ended.version
    assert library.get("toy", "other").version == other


def test_a_version_changes_with_the_state_of_the_driver_only(root: str) -> None:
    library = Library(root)
    filesystem, base = open_filesystem(root)
    path, driver = f"{base}/toy/s", new_driver("toy/s", "local", "log")
    with run_lock(filesystem, path):
        write_driver(filesystem, path, driver)
        before = library.get("toy", "s")
        later = dataclasses.replace(driver, progress=Progress(share=0.5))
        write_driver(filesystem, path, later)
        assert library.get("toy", "s") is before
        write_driver(filesystem, path, dataclasses.replace(later, state="paused"))
        paused = library.get("toy", "s")
        assert (before.overview.state, paused.overview.state) == ("running", "paused")
        assert paused.version != before.version
        assert paused.left is None
        assert "paused" in TestClient(make_app(library), base_url=BASE).get("/").text
    assert library.get("toy", "s").overview.state != "paused"


def test_plotly_is_compressed_once_and_kept_by_the_browser(client: TestClient) -> None:
    for encoding in ("gzip", "identity"):
        answer = client.get("/assets/plotly.js", headers={"Accept-Encoding": encoding})
        assert answer.content == plotly_script().read_bytes()
        assert answer.headers.get("content-encoding", "identity") == encoding
        assert answer.headers["cache-control"] == "max-age=86400"
    assert compressed_plotly() is compressed_plotly()


def test_running_trials_are_those_of_the_driver(root: str) -> None:
    client = TestClient(make_app(Library(root)), base_url=BASE)
    assert client.get("/sweeps/toy/s/running").status_code == 204
    assert client.get("/sweeps/toy/none/running").status_code == 404
    filesystem, base = open_filesystem(root)
    trials = [
        RunningTrial(
            trial_id=f"{number:016x}",
            parameters=f"<b>lr={number}</b>",
            step=f"epoch {number}/9",
            metrics="0.5",
            curve=((1.0, 0.1), (2.0, number / 10)),
            is_waiting=number == 9,
        )
        for number in range(10)
    ]
    progress = Progress(metric="R@1", step_unit="epoch", running=tuple(trials))
    driver = dataclasses.replace(new_driver("toy/s", "local", "log"), progress=progress)
    write_driver(filesystem, f"{base}/toy/s", driver)
    found = client.get("/sweeps/toy/s/running").json()
    assert "epoch 3/9" in found["html"]
    assert "&lt;b&gt;lr=3" in found["html"]
    assert "1 trial waiting to start" in found["html"]
    (chart,) = found["charts"]
    assert chart["title"] == "R@1 by epoch"
    assert [trace["y"][-1] for trace in chart["traces"]] == [n / 10 for n in range(8)]
    write_driver(filesystem, f"{base}/toy/s", dataclasses.replace(driver, state="ended"))
    assert client.get("/sweeps/toy/s/running").status_code == 204


def test_a_watched_sweep_costs_a_small_share_of_a_core(root: str) -> None:
    library = Library(root, max_share=0.001)
    first = library.get("toy", "s")
    first.seconds = 0.05  # however fast this machine is
    store = SweepStore(root, "toy", "s", PARAMS)
    store.add([trial(99, 1e-2, "siglip", 2)])
    assert library.get("toy", "s") is first  # for 50 seconds
    first.read_at -= 60
    assert library.get("toy", "s").version != first.version
    filesystem, base = open_filesystem(root)
    with run_lock(filesystem, f"{base}/toy/s"):
        assert library.get("toy", "s").overview.state == "running"  # at once


def test_pages_and_names_that_nobody_asks_for_again_leave_nothing(root: str) -> None:
    library = Library(root)
    held = library.get("toy", "s")
    for number in range(300):
        held.make(f"page {number}", lambda sweep: sweep.path)
        with pytest.raises(UnknownSweepError):
            library.get("toy", f"no-{number}")
    assert len(held.made) <= 64
    assert len(held.locks) <= 64
    assert list(library._places) == [("toy", "s")]


@pytest.mark.parametrize(("max_age", "expected"), [(0.0, [8, 4]), (600.0, [2, 1])])
def test_tabs_share_a_listing(
    root: str, monkeypatch: pytest.MonkeyPatch, max_age: float, expected: list[int]
) -> None:
    calls = {"sweep_files": 0, "find_sweeps": 0}
    for name in calls:
        original = getattr(library_module, name)

        def counted(*args: str, name: str = name, original: Any = original) -> Any:
            calls[name] += 1
            return original(*args)

        monkeypatch.setattr(library_module, name, counted)
    library = Library(root, max_age=max_age)
    for _ in range(4):
        assert len(library.all()) == 2
    assert list(calls.values()) == expected


def test_the_first_sweep_of_the_list_is_ready_before_somebody_asks(root: str) -> None:
    library = Library(root)
    warm_up(library)
    made = [held for held in library.all() if held.made]
    assert [(held.overview.name, len(held.made)) for held in made] == [("toy/other", 2)]
    client = TestClient(make_app(library), base_url=BASE)
    before = dict(made[0].made)
    for path in ("/sweeps/toy/other", "/sweeps/toy/other/charts"):
        assert client.get(path).text in before.values()
    assert made[0].made == before


def test_nothing_is_made_ready_of_an_empty_folder(tmp_path: Path) -> None:
    warm_up(Library(str(tmp_path)))
