"""The whole way on a small folder of scenes: both engines, killed, resumed, and asked wrongly."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import draw_folder

from orchestrator.planning.plan import expand_grid
from results.storage.reading import read_sweep
from tasks.contract import RequestError
from tasks.datasets import scenes

ROOT = Path(__file__).parents[1]
SPACE = """
GRID = {"start": ["pretrained", "random"], "lr": [1e-3, 1e-2], "epochs": [2]}
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = draw_folder(tmp_path_factory.mktemp("photos"), train=48, val=24)
    (folder / "space.py").write_text(SPACE)
    return folder


def run(*args: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestrator", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def sweep_args(photos: Path, out: Path, engine: str) -> list[str]:
    return [
        *("sweep", "retrieval", "--data", f"folder:{photos}", "--out", str(out)),
        *("--space", str(photos / "space.py"), "--name", "s", "--engine", engine, "--seeds", "2"),
    ]


def metrics(out: Path) -> dict[str, dict[str, float]]:
    rows = read_sweep(str(out), "retrieval", "s").rows()
    assert all(row["status"] == "finished" for row in rows)
    return {
        row["trial_id"]: {k: v for k, v in row.items() if k.startswith(("metric.", "best."))}
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
    (line,) = done.stderr.splitlines()  # nothing of Ray's
    assert line.startswith("Warning: the default model")
    ours, theirs = metrics(tmp_path), metrics(local)
    assert ours.keys() == theirs.keys()
    assert len(ours) == 8
    for trial_id, expected in theirs.items():
        assert ours[trial_id] == pytest.approx(expected, rel=1e-4)


def test_a_second_run_computes_nothing(photos: Path, local: Path) -> None:
    began = metrics(local)
    done = run(*sweep_args(photos, local, "local"))
    assert done.returncode == 0
    assert "done already" in done.stdout
    assert "computed in" not in done.stdout.split("Shared work")[0]
    assert metrics(local) == began


def test_another_sweep_in_the_same_out_reuses_the_trials(photos: Path, local: Path) -> None:
    args = sweep_args(photos, local, "local")
    args[args.index("s", 5)] = "other"
    assert run(*args).returncode == 0
    rows = read_sweep(str(local), "retrieval", "other").rows()
    assert len(rows) == 8
    assert {row["reused_from"] for row in rows} == {"retrieval/s"}


def test_killed_and_run_again_gives_the_undisturbed_table(
    photos: Path, local: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "orchestrator", *sweep_args(photos, tmp_path, "local")]
    for _ in range(2):
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 120
            checkpoints = tmp_path / ".checkpoints"
            while not any(checkpoints.glob("*.safetensors")) and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.005)
            os.kill(process.pid, signal.SIGKILL)
    assert run(*command[3:]).returncode == 0
    resumed, undisturbed = metrics(tmp_path), metrics(local)
    assert resumed.keys() == undisturbed.keys()
    for trial_id, expected in undisturbed.items():
        assert resumed[trial_id] == pytest.approx(expected, rel=1e-4)
    assert not list((tmp_path / ".checkpoints").glob("*.safetensors"))


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(
    photos: Path, local: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "orchestrator", *sweep_args(photos, tmp_path, "local")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:  # type: ignore[call-overload]
        checkpoints = tmp_path / ".checkpoints"
        deadline = time.monotonic() + 120
        while not any(checkpoints.glob("*.safetensors")) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    if process.returncode == 0:
        pytest.skip("this machine was faster than the signal")
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert "best first" in out
    assert "Interrupted. Run the same command to resume." in err
    assert run(*command[3:]).returncode == 0
    for trial_id, expected in metrics(local).items():
        assert metrics(tmp_path)[trial_id] == pytest.approx(expected, rel=1e-4)


def test_a_terminal_sees_a_live_view_and_then_the_table(photos: Path, tmp_path: Path) -> None:
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
    except OSError:  # Linux says so when the other side is gone
        return b""


def test_show_tells_a_sweep_and_a_trial(local: Path, tmp_path: Path) -> None:
    out = ("--out", str(local))
    told = run("show", "s", *out)
    assert told.returncode == 0
    row = read_sweep(str(local), "retrieval", "s").rows()[0]
    assert row["trial_id"][:8] in told.stdout
    assert "blip-scenes" in told.stdout
    one = run("show", "s", row["trial_id"][:6], *out, "--save", str(tmp_path / "curve.svg"))
    assert one.returncode == 0
    assert f"{100 * row['metric.i2t_r1']:.2f}" in one.stdout
    assert (tmp_path / "curve.svg").read_text().lstrip().startswith("<?xml")
    every = run("show", "s", *out, "--save", str(tmp_path / "curves.png"))
    assert every.returncode == 0
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    for args, message in (
        (["show", "t"], "no sweep named 't'"),
        (["show", "s", "zz"], "has no trial 'zz'"),
        (["show", "s", ""], "begins several trials"),
        (["show", "s", "--save", "curve.pdf"], "FILE.png or FILE.svg"),
        (["show", "s", "--save", "/nowhere/curve.png"], "cannot be written"),
    ):
        wrong = run(*args, *out)
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert message in wrong.stderr


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_search_stops_at_its_number_and_goes_on(
    photos: Path, tmp_path: Path, engine: str
) -> None:
    args = [
        *("sweep", "retrieval", "--data", f"folder:{photos}", "--out", str(tmp_path)),
        *("--space", "search", "--name", "s", "--engine", engine),
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


def test_a_race_stops_what_is_behind_and_the_table_says_so(tmp_path: Path) -> None:
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
        if row["status"] == "stopped":  # it was behind another at its last step
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
        (["sweep", "retrieval", "--set", "split=dev"], "scenes have the splits"),
        (["sweep", "retrieval", "--space", "nothing"], "paper, grid, search, a FILE.py or"),
        (["sweep", "retrieval", "--space", "missing.py"], "no such space file"),
        (["sweep", "retrieval", "--engine", "slurm"], "ray or local"),
        (["sweep", "retrieval", "--seeds", "0"], "at least 1"),
        (["sweep", "retrieval", "--budget", "soon"], "90s, 30m, 2h or 30d"),
        (["sweep", "retrieval", "--data", "coco"], "--data takes scenes"),
        (["sweep", "retrieval", "--data", "karpathy:/nowhere"], "no such folder"),
        (["sweep", "retrieval", "--model", "/nowhere"], "no such model folder"),
        (["sweep", "retrieval", "--model", "tests"], "no config.json"),
        (["sweep", "retrieval", "--name", "../up"], "a name is letters"),
        (["sweep", "retrieval", "--sed", "1"], "has no option --sed"),
        (["sweep", "retrieval", "--gpus-per-trial", "3"], "--gpus-per-trial <= 1"),
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


def test_a_dry_run_names_every_trial_and_writes_nothing(tmp_path: Path) -> None:
    done = run("sweep", "retrieval", "--dry-run", "--seeds", "2", "--out", str(tmp_path / "runs"))
    assert done.returncode == 0
    assert "16 trials, 0 of them done" in done.stdout
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("given", "seeds"), [("2", (0, 1)), ("1,2", (1, 2)), ("7,", (7,)), (" 3, 0 ", (3, 0))]
)
def test_seeds_are_a_number_or_a_list(given: str, seeds: tuple[int, ...], tmp_path: Path) -> None:
    from orchestrator.cli.parsing import parse_seeds
    from orchestrator.request import Request
    from orchestrator.running.plan import make_plan

    request = Request(task="diffusion", seeds=parse_seeds(given), out=str(tmp_path))
    plan = make_plan(request)
    assert plan.seeds == seeds
    assert [trial.seed for trial in plan.trials] == list(seeds)


def test_help_report_and_dry_run_load_no_torch_ray_or_optuna(local: Path) -> None:
    code = (
        "import sys; from orchestrator.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'ray', 'optuna'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    for args in (["--help"], ["report", "--out", str(local)], ["sweep", "retrieval", "--dry-run"]):
        command = [sys.executable, "-c", code, *args]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr


def test_a_task_loads_neither_engine_nor_torch() -> None:
    code = (
        "import sys, tasks.retrieval.task\n"
        "bad = {'torch', 'ray', 'optuna', 'orchestrator', 'results'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_grids_are_products_and_unions() -> None:
    assert expand_grid({"a": [1, 2], "b": [3]}, "g") == [{"a": 1, "b": 3}, {"a": 2, "b": 3}]
    assert expand_grid([{"a": [1]}, {"b": [2]}], "g") == [{"a": 1}, {"b": 2}]
    for bad in ({"a": []}, {"a": "xy"}, {"a": 3}, []):
        with pytest.raises(RequestError):
            expand_grid(bad, "g")  # type: ignore[arg-type]


def test_the_shipped_model_gives_its_recorded_scores() -> None:
    from tasks.assets.recipe import SHIPPED, measure

    recorded = json.loads((SHIPPED / "scores.json").read_text())
    assert recorded["generator"] == scenes.fingerprint()
    assert sum(f.stat().st_size for f in SHIPPED.iterdir()) <= 6_000_000
    for name, value in measure(SHIPPED).items():
        assert math.isclose(value, recorded[name], rel_tol=0.03), name


def test_as_many_slots_as_there_can_be_packs() -> None:
    from orchestrator.execution.packing import most_packs
    from orchestrator.planning.discovery import load_task
    from orchestrator.planning.plan import TrialFactory

    def trials(task: str, rows: list[dict[str, float]]) -> int:
        loaded = load_task(task)
        model, data = loaded.resolve(loaded.default_model, loaded.default_data)
        factory = TrialFactory(task=loaded, model=model, data=data, fixed={})
        return most_packs(loaded, [factory.trial(row, 0) for row in rows])

    assert trials("retrieval", [{"lr": 1e-3}, {"lr": 1e-2}, {"lr": 1e-4}]) == 3
    # Two trainings, one of them sampled twice.
    rows = [{"epochs": 2}, {"epochs": 3}, {"epochs": 3, "num_samples": 8}]
    assert trials("diffusion", rows) == 2


def test_ids_are_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.contract import Source, Trial, content_id

    hashed = []
    real = content_id
    monkeypatch.setattr(
        "tasks.contract.trial.content_id", lambda value: hashed.append(1) or real(value)
    )
    source = Source(name="x", fingerprint="x")
    trial = Trial(task="t", version="1", params=source, seed=0, model=source, data=source)
    assert len({trial.id for _ in range(3)}) == 1
    assert len(hashed) == 1
