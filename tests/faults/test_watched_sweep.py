"""A sweep of 200 trials, watched and steered, gives the same results as an undisturbed one."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from harness import Run, command, run_process
from served import chromium, served_pages
from terminals import in_terminal

from results.storage.reading import Sweep, read_sweep

SPACE = "GRID = {'level': list(range(200))}\n"
OPTIONS = ("--engine=local", "--set=steps=10", "--set=seconds=0.4")


#: What differs between the two sweeps: times, processes, and ids with the folders of their notes.
OTHERS = ("trial_id", "param.notes", "started", "ended", "seconds", "worker")


def results(sweep: Sweep) -> dict[int, Any]:
    """The row and the steps of each trial by its level, except what differs anyway."""
    steps: dict[str, list[Any]] = {}
    for row in sorted(sweep.steps.to_pylist(), key=lambda row: row["at"]):
        steps.setdefault(row["trial_id"], []).append((row["at"], row["metric.total"]))
    return {
        row["param.level"]: {
            **{key: value for key, value in row.items() if key not in OTHERS},
            "steps": steps.get(row["trial_id"]),
        }
        for row in sweep.rows()
    }


def test_a_watched_and_steered_sweep_equals_an_undisturbed_one(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "out").mkdir()
    with contextlib.ExitStack() as opened:
        page = opened.enter_context(chromium()).new_page()
        page.set_default_timeout(60_000)
        address = opened.enter_context(served_pages(str(tmp_path / "out")))
        page.goto(address)
        undisturbed = Run(tmp_path / "plain", *OPTIONS, space=SPACE)
        run = Run(tmp_path, *OPTIONS, space=SPACE)
        page.locator("#sweeps a").click()
        page.locator("#running-table tbody tr").first.wait_for()
        with in_terminal("attach", "s", "--out", run.out) as shown:
            shown.wait_for("fragile/s is running", "/200 trials finished")
            shown.press("jp")
            shown.wait_for("trials hold after their current step")
            page.locator("#head .state", has_text="paused").wait_for()
            shown.press("p")
            shown.wait_for("the sweep runs again")
            page.locator("#head .state", has_text="running").wait_for()
            command("stop", "s", "--out", run.out)
            run.end(status=130)
            shown.end()
        page.locator("#head .state", has_text="partial").wait_for()
        rows = read_sweep(run.out, "fragile", "s").rows()
        chosen = [row for row in rows if row["status"] == "interrupted"][:2]
        for row in chosen:
            done = run_process("cancel", "s", row["trial_id"], "--out", run.out)
            assert done.returncode == 0, done.stdout + done.stderr
        Run(tmp_path, *OPTIONS, space=SPACE).end()
        page.locator("#head .state", has_text="2 cancelled").wait_for()
        assert page.locator("#trials tbody tr", has_text="cancelled").count() == 2
    undisturbed.end()
    expected, found = (
        results(read_sweep(each, "fragile", "s")) for each in (undisturbed.out, run.out)
    )
    assert found.keys() == expected.keys() == set(range(200))
    for row in chosen:
        level = row["param.level"]
        assert found[level]["status"] == "cancelled"
        found[level] = expected[level]
    assert found == expected
