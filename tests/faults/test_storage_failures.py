"""Storage: a bucket, a failing bucket, a full or read-only disk, and two drivers at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.fs
import pytest
from buckets import BUCKET, Bucket, serve
from disks import fill_up, small_disk
from harness import Run, run_command, small_cluster
from paths import STORED
from sealed_weights import sealed

from orchestrator.saving.checkpoints import Checkpoints, TimedStep
from orchestrator.sharing.archive import archive_sweep
from results.storage.reading import read_sweep
from results.storage.store import list_parts
from results.storage.weights import WeightStore
from tasks.contract import State, Step, StoreError

SIX = "GRID = {'level': list(range(6))}\n"
SLOW = ("--set=steps=8", "--set=seconds=0.15")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with serve() as made:
        yield made


@pytest.fixture(scope="module")
def cluster(bucket: Bucket) -> Iterator[str]:
    """A cluster whose workers have the environment of the bucket."""
    with small_cluster() as address:
        yield address


@pytest.fixture
def healthy(bucket: Bucket) -> Iterator[Bucket]:
    bucket.num_failed = bucket.num_asked = 0
    yield bucket
    bucket.stop_failing()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int, int], float]:
    run = Run(tmp_path_factory.mktemp("sound"), "--engine=local", "--set=steps=8", space=SIX)
    run.end()
    return run.totals()


def elsewhere(folder: Path) -> dict[str, str]:
    """The environment of another machine: another home and another temporary folder.

    Like every machine that may use the cluster, it has the token of the cluster.
    """
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    token = Path.home() / ".ray" / "auth_token"
    return {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "RAY_AUTH_TOKEN_PATH": os.environ.get("RAY_AUTH_TOKEN_PATH", str(token)),
    }


def assert_resumed(run: Run, num_steps: int, at_most_again: int) -> None:
    counted = Counter(what for what, _ in run.find("step"))
    assert len(counted) == num_steps
    assert sum(counted.values()) <= num_steps + at_most_again


# --- a bucket -------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_killed_sweep_continues_on_another_machine(
    tmp_path: Path,
    healthy: Bucket,
    cluster: str,
    undisturbed: dict[tuple[int, int, int], float],
    engine: str,
) -> None:
    out = f"s3://{BUCKET}/{engine}"

    def go_on(where: tuple[str, ...]) -> None:
        first = Run(tmp_path, *where, *SLOW, space=SIX, out=out)
        first.wait_for(lambda: len(first.find("step")) >= 18)
        first.process.kill()
        first.process.wait()
        other = elsewhere(tmp_path)
        second = Run(tmp_path, *where, *SLOW, space=SIX, out=out, environment=other)
        assert "Resuming " in second.end()
        assert second.totals() == undisturbed
        assert_resumed(second, 6 * 8, at_most_again=6)

    go_on(("--engine=local",) if engine == "local" else ("--address", cluster))
    filesystem, path = pyarrow.fs.FileSystem.from_uri(out)
    assert len(list_parts(filesystem, f"{path}/fragile/s/trials")) == 1  # compacted
    for command in (["report", "s"], ["show", "s"], ["report", "s", "--format=csv"]):
        output = run_command(*command, f"--out={out}")
        assert output.returncode == 0, output.stderr
        assert "total" in output.stdout


def test_stages_are_cached_in_a_bucket(tmp_path: Path, healthy: Bucket) -> None:
    args = ("--engine=local", f"--cache=s3://{BUCKET}/kept")
    Run(tmp_path, *args, space=SIX).end()
    second = Run(tmp_path, *args, "--set=steps=4", space=SIX, name="t")
    assert "read from the cache" in " ".join(second.end().split())
    assert len(second.find("stage")) == 1


def test_occasional_bucket_errors_lose_nothing(
    tmp_path: Path, healthy: Bucket, undisturbed: dict[tuple[int, int, int], float]
) -> None:
    healthy.fail_now_and_then(0.15)
    run = Run(tmp_path, "--engine=local", "--set=steps=8", space=SIX, out=f"s3://{BUCKET}/shaky")
    run.end()
    healthy.stop_failing()
    assert healthy.num_failed > 10
    assert run.totals() == undisturbed


def test_checkpoint_is_read_although_the_bucket_refuses_at_first(healthy: Bucket) -> None:
    checkpoints = Checkpoints(f"s3://{BUCKET}/checkpoints")
    state = State(arrays={"total": np.arange(3.0)}, values={})
    steps = [TimedStep(step=Step(at=1, metrics={"total": 1.0}), seconds=0.1)]
    checkpoints.save("trial", state, steps)
    healthy.fail_reads(4)  # more than the attempts of the client
    loaded = checkpoints.load("trial", "cpu")
    assert healthy.num_failed == 4
    assert loaded is not None
    assert loaded[1] == steps
    healthy.fail_reads(1000)
    with pytest.raises(StoreError, match=r"cannot read .*trial\.safetensors"):
        checkpoints.load("trial", "cpu")


SAVE_AND_EXIT_ON_SIGTERM = """
import signal, sys
import numpy as np
from orchestrator.saving.checkpoints import Checkpoints, TimedStep
from tasks.contract import State, Step

signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # like a worker of Ray
state = State(arrays={"total": np.full(3, 2.0)}, values={})
steps = [TimedStep(step=Step(at=2, metrics={"total": 2.0}), seconds=0.1)]
print("saving", flush=True)
Checkpoints(sys.argv[1]).save("interrupted", state, steps)
"""


def test_interrupted_save_leaves_a_whole_checkpoint(healthy: Bucket) -> None:
    checkpoints = Checkpoints(f"s3://{BUCKET}/checkpoints")
    state = State(arrays={"total": np.full(3, 1.0)}, values={})
    steps = [TimedStep(step=Step(at=1, metrics={"total": 1.0}), seconds=0.1)]
    checkpoints.save("interrupted", state, steps)
    child = subprocess.Popen(
        [sys.executable, "-c", SAVE_AND_EXIT_ON_SIGTERM, checkpoints.uri], env=os.environ.copy()
    )

    def terminate_once_the_upload_begins(method: str, path: str) -> bool:
        if method == "POST":
            healthy.stop_failing()
            child.terminate()
        return False

    healthy.failing = terminate_once_the_upload_begins
    assert child.wait(60) == 1
    loaded = checkpoints.load("interrupted", "cpu")
    assert loaded is not None
    assert loaded[1][-1].step.at in (1, 2)


def test_trial_whose_checkpoint_cannot_be_read_resumes_later(
    tmp_path: Path, healthy: Bucket
) -> None:
    args, out = ("--engine=local", *SLOW), f"s3://{BUCKET}/unreadable"
    space = "GRID = {'level': [0]}\n"
    first = Run(tmp_path, *args, space=space, out=out)
    first.wait_for(lambda: len(first.find("step")) >= 4)
    first.process.kill()
    first.process.wait()
    healthy.failing = lambda method, path: method == "GET" and path.endswith(".safetensors")
    second = Run(tmp_path, *args, space=space, out=out)
    output, errors = second.process.communicate(timeout=180)
    healthy.stop_failing()
    assert second.process.returncode == 1, output + errors
    assert "cannot read" in output + errors
    Run(tmp_path, *args, space=space, out=out).process.communicate(timeout=180)  # keeps it too
    third = Run(tmp_path, *args, "--retry-failed", space=space, out=out)
    third.end()
    assert_resumed(third, 8, at_most_again=1)


def test_lasting_bucket_failure_is_one_error_line(
    tmp_path: Path, healthy: Bucket, undisturbed: dict[tuple[int, int, int], float]
) -> None:
    args, out = ("--engine=local", *SLOW), f"s3://{BUCKET}/broken"
    run = Run(tmp_path, *args, space="GRID = {'level': [0]}\n", out=out)
    run.end()
    acknowledged = run.totals()
    healthy.fail_writes_after(25)
    run = Run(tmp_path, *args, space=SIX, out=out)
    output, errors = run.process.communicate(timeout=180)
    healthy.stop_failing()
    assert run.process.returncode in (1, 2), output + errors
    assert "Traceback" not in output + errors
    assert "cannot write" in output + errors
    assert acknowledged.items() <= run.totals().items()
    again = Run(tmp_path, *args, "--retry-failed", space=SIX, out=out)
    again.end()
    assert again.totals() == undisturbed


def test_missing_bucket_is_refused_at_once(tmp_path: Path, healthy: Bucket) -> None:
    run = Run(tmp_path, "--engine=local", space=SIX, out="s3://no-such-bucket/runs")
    _, errors = run.process.communicate(timeout=60)
    assert run.process.returncode == 2
    assert "no-such-bucket" in errors
    assert len(errors.strip().splitlines()) == 1
    assert not run.find("start")


# --- a disk ---------------------------------------------------------------------------------------


def test_full_disk_is_one_error_line_and_loses_nothing(
    tmp_path: Path, undisturbed: dict[tuple[int, int, int], float]
) -> None:
    args = ("--engine=local", *SLOW)
    with small_disk(tmp_path / "disk", "1m") as disk:
        run = Run(tmp_path, *args, space="GRID = {'level': [0]}\n", out=str(disk))
        run.end()
        acknowledged = run.totals()
        run = Run(tmp_path, *args, space=SIX, out=str(disk))
        run.wait_for(lambda: len(run.find("step")) >= 8 + 10)
        fill_up(disk / "filler")
        output, errors = run.process.communicate(timeout=60)
        assert run.process.returncode in (1, 2), output + errors
        assert "No space left on device" in output + errors
        assert "Traceback" not in output + errors
        assert run.totals() == acknowledged
        assert not read_sweep(str(disk), "fragile", "s").damaged
        (disk / "filler").unlink()
        again = Run(tmp_path, *args, "--retry-failed", space=SIX, out=str(disk))
        again.end()
        assert again.totals() == undisturbed


def test_read_only_folder_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        began = time.monotonic()
        run = Run(tmp_path, space=SIX, out=str(disk / "runs"))  # it must fail before Ray starts
        output, errors = run.process.communicate(timeout=60)
        assert run.process.returncode == 2
        assert time.monotonic() - began < 15
        assert len(errors.strip().splitlines()) == 1
        assert str(disk) in errors
        assert output == ""


def test_failed_write_leaves_the_earlier_weights(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        (disk / "toy" / "s").mkdir(parents=True)
        store = WeightStore(str(disk), "toy", "s")
        first = sealed("t1", {"a": np.ones(1000)})
        store.write("t1", first)
        with pytest.raises(StoreError, match="has only"):  # it would take most of what is free
            store.write("t1", sealed("t1", {"a": np.ones(100_000)}))
        fill_up(disk / "filler")
        with pytest.raises(StoreError):
            store.write("t1", sealed("t1", {"a": np.zeros(1000)}))
        assert store.sizes() == {"t1": len(first)}
        assert store.read("t1") is not None
        assert not store.leftovers()


# --- two at once ----------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("s", "s"), ("s", "t")])
def test_two_drivers_write_to_one_folder(
    tmp_path: Path, undisturbed: dict[tuple[int, int, int], float], names: tuple[str, str]
) -> None:
    runs = [Run(tmp_path, "--engine=local", *SLOW, "--name", name, space=SIX) for name in names]
    for run in runs:
        run.end()
    for name in names:
        sweep = read_sweep(runs[0].out, "fragile", name)
        rows = sweep.rows()
        totals = {(r["param.level"], 0, r["seed"]): r["metric.total"] for r in rows}
        assert len(rows) == 6
        assert totals == undisturbed
        assert sweep.steps.num_rows == 6 * 8  # each step once, although two drivers computed it
        assert not sweep.damaged
    best = max(rows, key=lambda row: row["metric.total"])["trial_id"]
    left = [
        path for path in Path(runs[0].out).rglob("*") if path.suffix in (".tmp", ".safetensors")
    ]
    assert {path.parent.name for path in left} == {"weights"}
    assert {path.name for path in left} == {f"{best}.safetensors"}


def test_two_drivers_share_a_cluster_and_a_sweep(
    tmp_path: Path, cluster: str, undisturbed: dict[tuple[int, int, int], float]
) -> None:
    args = ("--address", cluster, "--gpus-per-trial=0.5", "--cpus-per-trial=1", *SLOW)
    runs = [Run(tmp_path, *args, space=SIX) for _ in range(2)]
    for run in runs:
        run.end(seconds=200)
    assert runs[0].totals() == undisturbed


def test_full_disk_keeps_the_earlier_archive(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        earlier = disk / "a.zip"
        archive_sweep(str(STORED), "toy", "stored", str(earlier))
        before = earlier.read_bytes()
        fill_up(disk / "filler")
        for file in (earlier, disk / "b.zip"):
            done = run_command("archive", "stored", file, "--overwrite", "--out", STORED)
            assert done.returncode == 2
            assert done.stderr == f"error: cannot write {file}: No space left on device\n"
        assert {path.name for path in disk.iterdir()} == {"a.zip", "filler"}
        assert earlier.read_bytes() == before
