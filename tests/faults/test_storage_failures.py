"""Where results go: a bucket, one that fails, a full disk, a read-only one, and two at once."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs
import pytest
from buckets import BUCKET, Bucket, serve
from disks import fill_up, small_disk
from harness import Run, run_command, small_cluster
from paths import STORED

from orchestrator.sharing.archive import archive_sweep
from results.storage.reading import read_sweep
from results.storage.store import list_parts

SIX = "GRID = {'level': list(range(6))}\n"
SLOW = ("--set=steps=8", "--set=seconds=0.15")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with serve() as made:
        yield made


@pytest.fixture(scope="module")
def cluster(bucket: Bucket) -> Iterator[str]:
    """Its workers have the bucket's environment too."""
    with small_cluster() as address:
        yield address


@pytest.fixture
def sound(bucket: Bucket) -> Iterator[Bucket]:
    bucket.num_failed = bucket.num_asked = 0
    yield bucket
    bucket.mend()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int, int], float]:
    one = Run(tmp_path_factory.mktemp("sound"), "--engine=local", "--set=steps=8", space=SIX)
    one.end()
    return one.totals()


def elsewhere(folder: Path) -> dict[str, str]:
    """Another machine, as far as one process can be: another home, another temporary folder.

    Like every machine that may use the cluster, it has the cluster's token.
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
def test_killed_and_gone_on_with_on_another_machine(
    tmp_path: Path,
    sound: Bucket,
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
        assert "trials continue from their checkpoints" in second.end()
        assert second.totals() == undisturbed
        assert_resumed(second, 6 * 8, at_most_again=6)

    go_on(("--engine=local",) if engine == "local" else ("--address", cluster))
    filesystem, path = pyarrow.fs.FileSystem.from_uri(out)
    assert len(list_parts(filesystem, f"{path}/fragile/s/trials")) == 1  # compacted there
    for command in (["report", "s"], ["show", "s"], ["report", "s", "--format=csv"]):
        told = run_command(*command, f"--out={out}")
        assert told.returncode == 0, told.stderr
        assert "total" in told.stdout


def test_stages_are_kept_in_a_bucket_too(tmp_path: Path, sound: Bucket) -> None:
    args = ("--engine=local", f"--cache=s3://{BUCKET}/kept")
    Run(tmp_path, *args, space=SIX).end()
    second = Run(tmp_path, *args, "--set=steps=4", space=SIX, name="t")
    assert "read from the cache" in " ".join(second.end().split())
    assert len(second.find("stage")) == 1


def test_a_bucket_that_fails_now_and_then_loses_nothing(
    tmp_path: Path, sound: Bucket, undisturbed: dict[tuple[int, int, int], float]
) -> None:
    sound.fail_now_and_then(0.15)
    one = Run(tmp_path, "--engine=local", "--set=steps=8", space=SIX, out=f"s3://{BUCKET}/shaky")
    one.end()
    sound.mend()
    assert sound.num_failed > 10
    assert one.totals() == undisturbed


def test_a_bucket_that_goes_on_failing_is_said_in_a_line(
    tmp_path: Path, sound: Bucket, undisturbed: dict[tuple[int, int, int], float]
) -> None:
    args, out = ("--engine=local", *SLOW), f"s3://{BUCKET}/broken"
    one = Run(tmp_path, *args, space="GRID = {'level': [0]}\n", out=out)
    one.end()
    acknowledged = one.totals()
    sound.fail_writes_after(25)
    one = Run(tmp_path, *args, space=SIX, out=out)
    told, wrong = one.process.communicate(timeout=180)
    sound.mend()
    assert one.process.returncode in (1, 2), told + wrong
    assert "Traceback" not in told + wrong
    assert "cannot write" in told + wrong
    assert acknowledged.items() <= one.totals().items()
    again = Run(tmp_path, *args, "--retry-failed", space=SIX, out=out)
    again.end()
    assert again.totals() == undisturbed


def test_a_bucket_that_is_not_there_is_said_at_once(tmp_path: Path, sound: Bucket) -> None:
    one = Run(tmp_path, "--engine=local", space=SIX, out="s3://no-such-bucket/runs")
    _, wrong = one.process.communicate(timeout=60)
    assert one.process.returncode == 2
    assert "no-such-bucket" in wrong
    assert len(wrong.strip().splitlines()) == 1
    assert not one.find("start")


# --- a disk ---------------------------------------------------------------------------------------


def test_a_full_disk_is_said_in_a_line_and_loses_nothing(
    tmp_path: Path, undisturbed: dict[tuple[int, int, int], float]
) -> None:
    args = ("--engine=local", *SLOW)
    with small_disk(tmp_path / "disk", "1m") as disk:
        one = Run(tmp_path, *args, space="GRID = {'level': [0]}\n", out=str(disk))
        one.end()
        acknowledged = one.totals()
        one = Run(tmp_path, *args, space=SIX, out=str(disk))
        one.wait_for(lambda: len(one.find("step")) >= 8 + 10)
        fill_up(disk / "filler")
        told, wrong = one.process.communicate(timeout=60)
        assert one.process.returncode in (1, 2), told + wrong
        assert "No space left on device" in told + wrong
        assert "Traceback" not in told + wrong
        assert one.totals() == acknowledged
        assert not read_sweep(str(disk), "fragile", "s").damaged
        (disk / "filler").unlink()
        again = Run(tmp_path, *args, "--retry-failed", space=SIX, out=str(disk))
        again.end()
        assert again.totals() == undisturbed


def test_what_cannot_be_written_is_said_before_anything_starts(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        began = time.monotonic()
        one = Run(tmp_path, space=SIX, out=str(disk / "runs"))  # on Ray, which takes long to start
        told, wrong = one.process.communicate(timeout=60)
        assert one.process.returncode == 2
        assert time.monotonic() - began < 15
        assert len(wrong.strip().splitlines()) == 1
        assert str(disk) in wrong
        assert told == ""


# --- two at once ----------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("s", "s"), ("s", "t")])
def test_two_drivers_write_one_out_at_once(
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
        assert sweep.steps.num_rows == 6 * 8  # each step once, though two have computed it
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


def test_a_full_disk_leaves_no_archive_and_keeps_the_earlier_one(tmp_path: Path) -> None:
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
