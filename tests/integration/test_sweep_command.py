"""Sweeps of a small folder of scenes: both engines, killed, resumed, and invalid requests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from captioned_folder import draw_folder
from forked_commands import ForkedCommand
from harness import Done, run_command, run_process
from paths import ROOT

from results.storage.reading import read_sweep

#: The moment before a checkpoint is renamed (``plugin/zygote.py``).
CHECKPOINT = {"event": "os.rename", "match": r"/\.checkpoints/", "then": 0}
SPACE = """
GRID = {"start": ["pretrained", "random"], "lr": [1e-3, 1e-2], "epochs": [2]}
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = draw_folder(tmp_path_factory.mktemp("photos"), train=48, val=24)
    (folder / "space.py").write_text(SPACE)
    return folder


def run(*args: str) -> Done:
    """Run a command in this process, or in a separate one if it starts Ray."""
    return run_process(*args) if "ray" in args else run_command(*args)


def sweep_args(photos: Path, out: Path, engine: str) -> list[str]:
    return [
        *("sweep", "retrieval", "--data", f"folder:{photos}", "--out", str(out)),
        *("--space", str(photos / "space.py"), "--name", "s", "--engine", engine, "--seeds", "2"),
        "--checkpoint-interval=0s",
    ]


def metrics(out: Path) -> dict[str, dict[str, float]]:
    """The measured metrics of each trial; those that were not measured are None."""
    rows = read_sweep(str(out), "retrieval", "s").rows()
    assert all(row["status"] == "finished" for row in rows)
    return {
        row["trial_id"]: {
            key: value
            for key, value in row.items()
            if key.startswith(("metric.", "best.")) and value is not None
        }
        for row in rows
    }


@pytest.fixture(scope="module")
def local(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("local")
    done = run(*sweep_args(photos, out, "local"))
    assert done.returncode == 0, done.stderr
    assert "best first" in done.stdout
    return out


def test_both_engines_give_the_same_numbers(photos: Path, local: Path, tmp_path: Path) -> None:
    done = run(*sweep_args(photos, tmp_path, "ray"))
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()  # no output of Ray
    assert line.startswith("Warning: the default model")
    ours, theirs = metrics(tmp_path), metrics(local)
    assert ours.keys() == theirs.keys()
    assert len(ours) == 8
    for trial_id, expected in theirs.items():
        assert ours[trial_id] == pytest.approx(expected, rel=1e-4)


def test_second_run_computes_nothing(photos: Path, local: Path) -> None:
    began = metrics(local)
    done = run(*sweep_args(photos, local, "local"))
    assert done.returncode == 0
    assert "already done" in done.stdout
    assert "computed in" not in done.stdout.split("Shared work")[0]
    assert metrics(local) == began


def test_another_sweep_reuses_the_trials(photos: Path, local: Path) -> None:
    args = sweep_args(photos, local, "local")
    args[args.index("s", 5)] = "other"
    assert run(*args).returncode == 0
    rows = read_sweep(str(local), "retrieval", "other").rows()
    assert len(rows) == 8
    assert {row["reused_from"] for row in rows} == {"retrieval/s"}


def test_killed_sweep_resumes_to_the_same_table(photos: Path, local: Path, tmp_path: Path) -> None:
    args = sweep_args(photos, tmp_path, "local")
    for number in (2, 1):
        process = ForkedCommand(*args, kill=CHECKPOINT | {"count": number})
        assert process.wait() == -signal.SIGKILL
    assert list((tmp_path / ".checkpoints").glob("*.safetensors"))
    assert run(*args).returncode == 0
    resumed, undisturbed = metrics(tmp_path), metrics(local)
    assert resumed.keys() == undisturbed.keys()
    for trial_id, expected in undisturbed.items():
        assert resumed[trial_id] == pytest.approx(expected, rel=1e-4)
    assert not list((tmp_path / ".checkpoints").glob("*.safetensors"))


def test_ctrl_c_keeps_results_and_the_same_command_resumes(
    photos: Path, local: Path, tmp_path: Path
) -> None:
    args = sweep_args(photos, tmp_path, "local")
    process = ForkedCommand(*args, kill=CHECKPOINT | {"count": 2, "signal": signal.SIGINT})
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert "best first" in out
    assert "Interrupted. Run the same command to resume." in err
    assert run(*args).returncode == 0
    for trial_id, expected in metrics(local).items():
        assert metrics(tmp_path)[trial_id] == pytest.approx(expected, rel=1e-4)


def test_terminal_shows_a_live_view_and_then_the_table(photos: Path, tmp_path: Path) -> None:
    import pty

    command = [sys.executable, "-m", "orchestrator", *sweep_args(photos, tmp_path, "local")]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=ROOT, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        seen = b""
        while chunk := _read(ours):
            seen += chunk
    os.close(ours)
    assert process.returncode == 0
    text = seen.decode()
    assert "trials" in text
    assert "shared stages" in text
    assert "\x1b[?25l" in text  # the cursor is hidden while the view is live
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # and shown again after
    assert "best first" in text[text.rindex("\x1b[?25h") :]


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # on Linux, the other side has closed
        return b""


def test_show_prints_a_sweep_and_a_trial(local: Path, tmp_path: Path) -> None:
    out = ("--out", str(local))
    shown = run("show", "s", *out)
    assert shown.returncode == 0
    row = read_sweep(str(local), "retrieval", "s").rows()[0]
    assert row["trial_id"][:8] in shown.stdout
    assert "blip-scenes" in shown.stdout
    trial = run("show", "s", row["trial_id"][:6], *out, "--save", str(tmp_path / "curve.svg"))
    assert trial.returncode == 0
    assert f"{100 * row['metric.i2t_r1']:.2f}" in trial.stdout
    assert (tmp_path / "curve.svg").read_text().lstrip().startswith("<?xml")
    every = run("show", "s", *out, "--save", str(tmp_path / "curves.png"))
    assert every.returncode == 0
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    for args, message in (
        (["show", "t"], "no sweep named 't'"),
        (["show", "s", "zz"], "has no trial 'zz'"),
        (["show", "s", ""], "several trial ids of"),
        (["show", "s", "--save", "curve.pdf"], "FILE.png or FILE.svg"),
        (["show", "s", "--save", "/nowhere/curve.png"], "cannot be written"),
    ):
        refused = run(*args, *out)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert message in refused.stderr


def test_search_stops_at_its_number_of_trials_and_continues(photos: Path, tmp_path: Path) -> None:
    args = [
        *("sweep", "retrieval", "--data", f"folder:{photos}", "--out", str(tmp_path)),
        *("--space", "search", "--name", "s", "--engine", "local"),
    ]
    assert run(*args, "--trials", "4").returncode == 0
    rows = read_sweep(str(tmp_path), "retrieval", "s").rows()
    assert len(rows) == 4
    assert {row["status"] for row in rows} <= {"finished", "stopped"}
    assert run(*args, "--trials", "5").returncode == 0
    assert len(read_sweep(str(tmp_path), "retrieval", "s").rows()) == 5


RACE = """
def search(trial):
    return {
        "temperature": trial.suggest_float("temperature", 0.1, 4.0),
        "top_k": None,
        "num_images": 256,
    }
"""


def test_pruned_trials_are_behind_and_marked_in_the_table(tmp_path: Path) -> None:
    (tmp_path / "race.py").write_text(RACE)
    done = run(
        *("sweep", "captioning", "--space", str(tmp_path / "race.py"), "--trials", "12"),
        *("--engine", "local", "--out", str(tmp_path / "runs")),
    )
    assert done.returncode == 0, done.stderr
    race = read_sweep(str(tmp_path / "runs"), "captioning", "race")
    rows = race.rows()
    by_status = {
        status: [row for row in rows if row["status"] == status]
        for status in ("finished", "stopped")
    }
    assert len(rows) == 12
    assert by_status["finished"]
    assert by_status["stopped"]
    assert {row["num_steps"] for row in by_status["finished"]} == {5}
    assert all(row["num_steps"] < 5 for row in by_status["stopped"])
    curves = [
        {step["at"]: step["metric.bleu4"] for step in race.steps_of(row["trial_id"])}
        for row in rows
    ]
    for row, curve in zip(rows, curves, strict=True):
        if row["status"] == "stopped":  # it was worse than another at its last step
            last = max(curve)
            assert curve[last] < max(other[last] for other in curves if last in other)
    assert "pruned@" in done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["sweep", "retreival"], "did you mean 'retrieval'"),
        (["sweep", "retrieval", "--set", "lrr=1"], "did you mean 'lr'"),
        (["sweep", "retrieval", "--set", "lr"], "name=value"),
        (["sweep", "retrieval", "--set", "lr=fast"], "takes a number"),
        (["sweep", "retrieval", "--set", "lr=-1"], "`lr > 0` must hold"),
        (["sweep", "retrieval", "--set", "augment=maybe"], "true or false"),
        (["sweep", "retrieval", "--set", "split=dev"], "scenes has the splits"),
        (["sweep", "retrieval", "--space", "nothing"], "paper, grid, search, a FILE.py or"),
        (["sweep", "retrieval", "--space", "missing.py"], "no such space file"),
        (["sweep", "retrieval", "--engine", "slurm"], "ray or local"),
        (["sweep", "retrieval", "--seeds", "0"], "at least 1"),
        (["sweep", "retrieval", "--budget", "soon"], "90s, 30m, 2h or 30d"),
        (["sweep", "retrieval", "--data", "coco"], "--data takes scenes"),
        (["sweep", "retrieval", "--data", "karpathy:/nowhere"], "no such folder"),
        (["sweep", "retrieval", "--model", "/nowhere"], "no such model folder"),
        (["sweep", "retrieval", "--model", "tests"], "no config.json"),
        (["sweep", "retrieval", "--name", "../up"], "a name must be up to 100 letters"),
        (["sweep", "retrieval", "--sed", "1"], "has no option --sed"),
        (["sweep", "retrieval", "--gpus-per-trial", "3"], "heads train on one GPU"),
        (["sweep", "captioning", "--set", "top_k=0"], "`top_k >= 1` must hold"),
        (["sweep", "captioning", "--set", "top_k=few"], "takes an integer or none"),
        (["sweep", "captioning", "--set", "decoding=best"], "one of greedy, sample, beam"),
        (["sweep", "captioning", "--set", "max_length=5"], "`min_length < max_length` must hold"),
        (["report", "--format", "pdf"], "--format takes"),
        (["report"], "no sweeps under"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_2(
    args: list[str], message: str, tmp_path: Path
) -> None:
    done = run(*args, "--out", str(tmp_path / "runs"))
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
    assert not (tmp_path / "runs").exists()


def test_dry_run_lists_every_trial_and_writes_nothing(tmp_path: Path) -> None:
    done = run("sweep", "retrieval", "--dry-run", "--seeds", "2", "--out", str(tmp_path / "runs"))
    assert done.returncode == 0
    assert "16 trials, 0 of them done" in done.stdout
    assert not (tmp_path / "runs").exists()
