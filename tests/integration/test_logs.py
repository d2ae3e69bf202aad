"""The logs of a run and of each failed trial."""

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


def test_failed_trial_has_a_log_named_by_show_and_the_run(tmp_path: Path) -> None:
    run = Run(tmp_path, "--engine=local", "--set=fail=raise", space=THREE)
    output = run.end(status=1)
    folder = f"{run.out}/fragile/s/logs"
    assert f"Logs of failed trials: {folder}" in output
    (failed,) = (r for r in read_sweep(run.out, "fragile", "s").rows() if r["status"] == "failed")
    path = Path(folder, f"{failed['trial_id']}.log")
    text = path.read_text()
    assert text.startswith(failed["reason"])
    assert "Traceback (most recent call last)" in text
    shown = command("show", "fragile/s", failed["trial_id"], "--out", run.out)
    assert str(path) in shown.replace(" ", "")
    assert "logs" in command("show", "fragile/s", "--out", run.out)


def test_verbose_prints_the_packs_of_the_log(tmp_path: Path) -> None:
    run = Run(tmp_path, "--engine=local", "--verbose", space=THREE)
    output = run.end()
    (log,) = logs(run)
    assert "pack 1, 3 trials: " in output
    assert "pack 1, 3 trials: " in log.read_text()
    assert "stage prepare(" in log.read_text()
    quiet = Run(tmp_path, "--engine=local", "--rerun", space=THREE)
    assert "pack 1" not in quiet.end()
    assert len(logs(quiet)) == 2


@pytest.mark.parametrize("option", ["--address=127.0.0.1:1"])
def test_an_error_before_anything_runs_leaves_no_empty_log(tmp_path: Path, option: str) -> None:
    run = Run(tmp_path, option, space=THREE)
    run.process.communicate(timeout=60)
    assert run.process.returncode == 2
    assert not Path(run.out, "fragile", "s", "logs").exists()


def test_logs_in_a_bucket(tmp_path: Path) -> None:
    with serve():
        run = Run(
            tmp_path, "--engine=local", "--set=fail=raise", space=THREE, out=f"s3://{BUCKET}/logs"
        )
        run.end(status=1)
        filesystem, path = pyarrow.fs.FileSystem.from_uri(run.out)
        found = filesystem.get_file_info(pyarrow.fs.FileSelector(f"{path}/fragile/s/logs"))
        assert len(found) == 2
        assert all(info.size > 0 for info in found)
