"""The log of a run and of each failed trial: where it is, what it says, and who names it."""

from __future__ import annotations

from pathlib import Path

import pyarrow.fs
import pytest
from buckets import BUCKET, serve
from harness import Run, command

from results.storage.reading import read_sweep

THREE = "GRID = {'level': [0, 1, 2]}\n"


def logs(run: Run) -> list[Path]:
    return sorted(Path(run.out, "fragile", "s", "logs").iterdir())


def test_a_failed_trial_has_a_log_that_show_and_the_run_name(tmp_path: Path) -> None:
    one = Run(tmp_path, "--engine=local", "--set=fail=raise", space=THREE)
    told = one.end(status=1)
    folder = f"{one.out}/fragile/s/logs"
    assert f"Logs of failed trials: {folder}" in told
    (failed,) = (r for r in read_sweep(one.out, "fragile", "s").rows() if r["status"] == "failed")
    path = Path(folder, f"{failed['trial_id']}.log")
    text = path.read_text()
    assert text.startswith(failed["reason"])
    assert "Traceback (most recent call last)" in text
    shown = command("show", "fragile/s", failed["trial_id"], "--out", one.out)
    assert str(path) in shown.replace(" ", "")
    assert "logs" in command("show", "fragile/s", "--out", one.out)


def test_a_run_s_log_has_its_packs_and_verbose_prints_them(tmp_path: Path) -> None:
    one = Run(tmp_path, "--engine=local", "--verbose", space=THREE)
    told = one.end()
    (log,) = logs(one)
    assert "pack 1, 3 trials: " in told
    assert "pack 1, 3 trials: " in log.read_text()
    assert "stage prepare(" in log.read_text()
    quiet = Run(tmp_path, "--engine=local", "--rerun", space=THREE)
    assert "pack 1" not in quiet.end()
    assert len(logs(quiet)) == 2


@pytest.mark.parametrize("option", ["--address=127.0.0.1:1"])
def test_an_error_before_anything_runs_leaves_no_empty_log(tmp_path: Path, option: str) -> None:
    one = Run(tmp_path, option, space=THREE)
    one.process.communicate(timeout=60)
    assert one.process.returncode == 2
    assert not Path(one.out, "fragile", "s", "logs").exists()


def test_a_bucket_has_its_logs_too(tmp_path: Path) -> None:
    with serve():
        one = Run(
            tmp_path, "--engine=local", "--set=fail=raise", space=THREE, out=f"s3://{BUCKET}/logs"
        )
        one.end(status=1)
        filesystem, path = pyarrow.fs.FileSystem.from_uri(one.out)
        found = filesystem.get_file_info(pyarrow.fs.FileSelector(f"{path}/fragile/s/logs"))
        assert len(found) == 2
        assert all(info.size > 0 for info in found)
