"""Sweeps, figures, weights and archives in an S3 bucket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.fs
import pytest
from buckets import BUCKET, Bucket, serve
from harness import Run, run_command
from harness import command as run
from json_documents import check_document
from page_sweeps import PARAMS, trial, write_sweep
from paths import STORED
from prunable import crash_after, keep_weights, sweep_names
from sealed_weights import check_round_trip
from simulated import simulate
from starlette.testclient import TestClient
from sweeps_with_figures import make_store, result

from orchestrator.pruning.command import PruneRequest, prune
from orchestrator.serving.app import make_app
from orchestrator.serving.library import Library
from orchestrator.sharing.archive import archive_sweep
from results.figures.saved import save_figures
from results.storage.atomic_write import atomic_write
from results.storage.filesystem import open_filesystem
from results.storage.folder_files import list_files
from results.storage.reading import read_sweep
from results.storage.store import SweepStore
from results.storage.whole_file import read_whole

TWELVE = "GRID = {'level': list(range(12))}\n"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    """One bucket for all tests, each of which uses its own folder."""
    with serve() as served:
        yield served


def test_an_archive_is_read_from_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    stored, copy = tmp_path / "stored.zip", tmp_path / "copy.zip"
    archive_sweep(str(STORED), "toy", "stored", str(stored))
    filesystem, _ = pyarrow.fs.FileSystem.from_uri(f"s3://{BUCKET}")
    pyarrow.fs.copy_files(
        str(STORED),
        f"{BUCKET}/archived",
        pyarrow.fs.LocalFileSystem(),
        destination_filesystem=filesystem,
    )
    run("archive", "stored", copy, "--out", f"s3://{BUCKET}/archived")
    assert copy.read_bytes() == stored.read_bytes()


def test_sweeps_in_a_bucket_are_queried(bucket: Bucket) -> None:
    root = f"s3://{BUCKET}/queried"
    make_store(root).add([result("one", 0.5), result("two", 0.25)])
    sql = "SELECT trial_id, metric.score FROM trials ORDER BY trial_id"
    done = run_command("query", sql, "--out", root, "--json")
    rows = check_document(done.stdout, "query", 0)["rows"]
    assert [row["score"] for row in rows] == [0.5, 0.25]


def test_weights_round_trip_through_a_bucket(bucket: Bucket) -> None:
    check_round_trip(f"s3://{BUCKET}/weights")


def test_figures_are_saved_in_a_bucket(bucket: Bucket) -> None:
    root = f"s3://{BUCKET}/figures"
    make_store(root).add([result("one", 0.5)])
    sweep = read_sweep(root, "toy", "s")
    for _ in range(2):
        assert save_figures(sweep) == f"Figures: {BUCKET}/figures/toy/s/figures"
        with sweep.filesystem.open_input_stream(f"{sweep.path}/figures/score.png") as stream:
            assert stream.read(4) == b"\x89PNG"


def test_a_running_sweep_in_a_bucket_is_steered(bucket: Bucket, tmp_path: Path) -> None:
    words = ("--engine=local", "--set=steps=20", "--set=seconds=0.3")
    run_ = Run(tmp_path, *words, space=TWELVE, out=f"s3://{BUCKET}/steered")
    run_.wait_for(lambda: len(run_.find("step")) > 2)

    def ask(name: str, *more: str) -> Mapping[str, Any]:
        done = run_command(name, "s", *more, "--out", run_.out, "--json")
        return check_document(done.stdout, name, 0)

    assert ask("pause")["answers"][0]["done"]
    run_.wait_for(lambda: ask("ps")["sweeps"][0]["state"] == "paused")
    trial_id = ask("ps")["sweeps"][0]["running"][0]["trial_id"]
    assert ask("cancel", trial_id)["answers"][0]["trial_id"] == trial_id
    assert ask("stop")["answers"][0]["done"]
    run_.end(status=130)
    rows = {row["trial_id"]: row["status"] for row in read_sweep(run_.out, "fragile", "s").rows()}
    assert rows.pop(trial_id) == "cancelled"
    assert set(rows.values()) == {"interrupted"}


@pytest.mark.parametrize("later", ["a longer text than before", "short"])
def test_a_file_replaced_while_it_is_read_is_whole(bucket: Bucket, later: str) -> None:
    filesystem, base = open_filesystem(f"s3://{BUCKET}/replaced")
    path = f"{base}/file"
    atomic_write(filesystem, path, b"the first text")
    bucket.replace_once(path, lambda: atomic_write(filesystem, path, later.encode()))
    try:
        assert read_whole(filesystem, path) == later.encode()
    finally:
        bucket.stop_failing()


def test_prune_in_a_bucket(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    out = f"s3://{BUCKET}/pruned"
    for name in ("a", "b"):
        simulate("toy", out, name=name)  # type: ignore[arg-type]
        keep_weights(out, name)
    filesystem, base = open_filesystem(out)

    def left() -> list[str]:
        return [info.path.removeprefix(f"{base}/") for info in list_files(filesystem, base)]

    assert "it may be running" in run("prune", "--sweeps", "--yes", "--out", out)
    for name in ("a", "b"):  # record that both have ended
        path = f"{base}/toy/{name}/sweep.json"
        with filesystem.open_input_stream(path) as stream:
            text = stream.read().replace(b'"seconds": 0.0', b'"seconds": 5.0')
        with filesystem.open_output_stream(path) as stream:
            stream.write(text)
    assert "toy/a 2 2.0 kB" in run("prune", "a", "--weights", "--out", out)
    run("prune", "a", "--weights", "--yes", "--out", out)
    assert not [path for path in left() if path.startswith("toy/a/weights")]
    with crash_after(2, monkeypatch):
        prune(PruneRequest(out=out, names=["toy/b"], sweeps=True, yes=True))
    assert sweep_names(out) == ["a"]
    assert any(path.startswith("toy/b/") for path in left())
    assert "rest of a sweep toy/b" in run("prune", "--sweeps", "--out", out)
    run("prune", "--sweeps", "--yes", "--out", out)
    assert left() == []


def test_pages_are_served_from_a_bucket(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    root = f"s3://{BUCKET}/pages"
    write_sweep(root)
    client = TestClient(make_app(Library(root)), base_url="http://127.0.0.1")
    assert "toy/s" in client.get("/").text
    page = client.get("/sweeps/toy/s")
    assert "★ 90.50" in page.text
    tag = {"If-None-Match": page.headers["etag"]}
    assert client.get("/sweeps/toy/s", headers=tag).status_code == 304
    SweepStore(root, "toy", "s", PARAMS).add([trial(99, 1e-2, "siglip", 2)])
    assert client.get("/sweeps/toy/s", headers=tag).status_code == 200
