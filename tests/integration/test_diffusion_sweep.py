"""A tiny diffusion sweep: tables beside published numbers, curves, pictures, resuming."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from forked_commands import ForkedCommand
from harness import Done, run_command
from PIL import Image
from rich.console import Console

from results.export.cells import columns_of
from results.figures.charts import trial_charts
from results.figures.pictures import contact_sheet, half_blocks
from results.figures.ticks import keep_apart
from results.figures.trial_pictures import pictures_of
from results.render.show import render_trial
from results.render.sweep_tables import render
from results.storage.reading import Sweep, read_sweep
from results.tables.details import details
from results.tables.summary import summarize
from tasks.datasets import concepts

SMALL = ("features=8", "epochs=4", "draws=128", "sampling_steps=4")
SETTINGS = [f"--set={text}" for text in (*SMALL, "num_samples=4", "precision=float32")]


def words(out: Path, *args: str) -> list[str]:
    sweep = ["sweep", "diffusion", "--engine", "local", "--name", "paper", "--out", str(out)]
    return [*sweep, "--checkpoint-interval=0s", *SETTINGS, *args]


def run(*args: str) -> Done:
    return run_command(*args, COLUMNS="160")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    done = run(*words(folder, "--set=evaluate_every=2"))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def sweep(out: Path) -> Sweep:
    return read_sweep(str(out), "diffusion", "paper")


def test_details_show_published_numbers_beside_measured(sweep: Sweep) -> None:
    report, published = details(sweep, summarize(sweep))
    assert report.headings == ["what", "ours", "95 %", "published"]
    row = sweep.rows()[0]
    shown = {cells[0]: cells[1:] for cells in report.rows}
    labels = list(shown)
    # The published number is a mean over attributes. It is also shown beside the stricter counts.
    for name in ("seen accuracy", "unseen probe-only accuracy", "unseen attributes"):
        assert shown[f"{name} %"][2] == "100.00"
    for name in ("attributes", "probe"):
        label = {"attributes": "attributes", "probe": "probe-only accuracy"}[name]
        ours, interval, _ = shown[f"unseen {label} %"]
        assert ours == f"{100 * row[f'metric.unseen_{name}']:.2f}"
        assert re.fullmatch(r"\[[\d.]+, [\d.]+\]", interval)
    order = [label.split()[2] for label in labels if label.startswith("accuracy of")]
    assert order == list(concepts.CONDITIONS)
    ours, interval, theirs = shown["accuracy of 011 (unseen) %"]
    assert ours == f"{100 * row['metric.accuracy_011']:.2f}"
    assert re.fullmatch(r"\[[\d.]+, [\d.]+\]", interval)
    assert theirs == "100.00"
    steps = {step["at"]: step["metric.loss"] for step in sweep.steps.to_pylist()}
    assert shown["loss, step 3"] == [f"{steps[3]:.4g}", "", "0.0342"]
    assert shown["loss, step 50"][0] == "-"  # not trained so long
    assert published.headings == ["what", "ours", "published there"]
    assert published.rows[7][1:] == ["not reached", "50"]
    assert "Okawa" in published.caption[0]


def test_report_contains_details_in_every_format(out: Path, sweep: Sweep) -> None:
    loss = min(sweep.steps.to_pylist(), key=lambda s: s["at"])["metric.loss"]
    for form in ("terminal", "markdown", "latex", "csv", "json", "html"):
        table = ["--table", "2"] if form == "csv" else []  # unrounded
        shown = run("report", "--out", str(out), "--format", form, *table)
        assert shown.returncode == 0, shown.stderr
        assert (repr(loss) if form == "csv" else f"{loss:.4g}") in shown.stdout
        assert "0.173" in shown.stdout
    assert "Published: Okawa" in shown.stdout


def test_charts_show_loss_and_accuracy(sweep: Sweep) -> None:
    charts = {chart.label: chart for chart in trial_charts(sweep, sweep.rows()[0])}
    assert next(iter(charts)) == "unseen accuracy (%)"
    loss = charts["loss"]
    assert loss.log
    assert [at for at, _ in loss.lines["loss"]] == [1, 2, 3, 4]
    for label in (
        "accuracy, right and near real (%)",
        "accuracy by the probe alone (%)",
    ):
        assert len(charts[label].lines) == 8
        assert all([at for at, _ in line] == [2, 4] for line in charts[label].lines.values())


def test_table_shows_the_kid_with_its_interval(sweep: Sweep) -> None:
    (table,) = summarize(sweep)
    cells = {column.heading: column.cells[0] for column in columns_of(table)}
    row = sweep.rows()[0]
    for group in ("unseen_", "seen_", ""):
        value, low, high = (row[f"metric.{group}kid{end}"] for end in ("", "_low", "_high"))
        assert low < value < high
        label = f"{group}kid".replace("_kid", " kid").replace("kid", "KID")
        assert cells[label] == f"{value:.4g} [{low:.3g}, {high:.3g}]"
    assert not [heading for heading in cells if "low" in heading]
    console = Console(width=400, file=io.StringIO())
    console.print(render(sweep))
    assert cells["unseen KID"] in console.file.getvalue()  # type: ignore[attr-defined]


def test_chart_of_the_main_metric_is_first(sweep: Sweep) -> None:
    columns = sweep.manifest.columns[::-1]
    manifest = dataclasses.replace(sweep.manifest, columns=columns)
    turned = dataclasses.replace(sweep, manifest=manifest)
    charts = trial_charts(turned, sweep.rows()[0])
    assert charts[0].label == "unseen accuracy (%)"


def test_keep_apart_drops_ticks_that_overlap() -> None:
    fives = [5, 10, 15, 20, 25, 30, 35, 40]
    assert keep_apart([*fives, 45, 46]) == [*fives, 46]
    assert keep_apart([3.0]) == [3.0]


def test_show_writes_curves_and_a_contact_sheet(out: Path, tmp_path: Path, sweep: Sweep) -> None:
    trial = sweep.rows()[0]["trial_id"]
    show = ["show", "paper", trial, "--out", str(out)]
    sheet, curve = tmp_path / "sheet.png", tmp_path / "curve.svg"
    shown = run(*show, "--pictures", str(sheet), "--save", str(curve))
    assert shown.returncode == 0, shown.stderr
    assert "--pictures FILE.png writes them" in shown.stdout  # no colours in a pipe
    with Image.open(sheet) as image:
        assert image.height > 8 * 28
    for condition in concepts.CONDITIONS:
        assert condition in curve.read_text()
    for args, message in (
        ([*show[:2], "--out", str(out), "--pictures", "a.png"], "show NAME TRIAL"),
        ([*show, "--pictures", "a.jpg"], "--pictures takes FILE.png"),
        ([*show, "--pictures", "/nowhere/a.png"], "cannot be written"),
    ):
        refused = run(*args)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert message in refused.stderr


def test_figures_are_saved_once(out: Path, sweep: Sweep) -> None:
    folder = out / "diffusion" / "paper" / "figures"
    trial = sweep.rows()[0]["trial_id"]
    files = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert {"loss.png", "unseen-accuracy.svg", f"{trial}-curves.png"} <= files.keys()
    with Image.open(folder / f"{trial}-pictures.png") as sheet:
        assert sheet.height > 8 * 28
    again = run(*words(out, "--set=evaluate_every=2"))
    assert again.returncode == 0, again.stderr
    assert f"Figures: {folder}\n" in again.stdout
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == files


def test_pictures_start_with_the_mean(sweep: Sweep) -> None:
    groups = pictures_of(sweep, sweep.rows()[0])
    assert list(groups) == list(concepts.CONDITIONS)
    for pictures in groups.values():
        mean, *samples = [
            np.asarray(Image.open(io.BytesIO(picture)), dtype=float) for picture in pictures
        ]
        assert len(samples) == 4
        np.testing.assert_allclose(np.mean(samples, 0), mean, atol=0.51)


def test_half_blocks_show_the_pixels(sweep: Sweep) -> None:
    out = io.BytesIO()
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    pixels[1, 2] = (255, 0, 128)  # the lower half of the first line
    Image.fromarray(pixels).save(out, format="PNG")
    text = half_blocks(out.getvalue(), 4)
    assert text.plain == "▀▀▀▀\n▀▀▀▀"
    assert str(text.spans[2].style) == "#000000 on #ff0080"
    console = Console(width=80, color_system="truecolor", file=io.StringIO(), force_terminal=True)
    console.print(render_trial(sweep, sweep.rows()[0]))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    groups = pictures_of(sweep, sweep.rows()[0])
    assert len(groups) == 8
    assert all(f"{name}\n" in shown for name in groups)
    assert "▀" in shown


def test_contact_sheet_has_one_line_per_group() -> None:
    def plain(colour: str) -> bytes:
        out = io.BytesIO()
        Image.new("RGB", (8, 8), colour).save(out, format="PNG")
        return out.getvalue()

    sheet = contact_sheet({"one": [plain("red")] * 3, "two": [plain("blue")] * 20}, scale=2)
    colours = {colour: number for number, colour in sheet.getcolors(1 << 20) or ()}
    assert colours[(255, 0, 0)] == 3 * 16 * 16
    assert colours[(0, 0, 255)] == 12 * 16 * 16


def test_sweep_killed_between_epochs_has_the_same_curve(tmp_path: Path, sweep: Sweep) -> None:
    args = words(tmp_path, "--set=evaluate_every=2")
    kill = {"event": "os.rename", "match": r"/\.checkpoints/", "count": 2, "then": 0}
    assert ForkedCommand(*args, kill=kill).wait() == -signal.SIGKILL
    assert not list(tmp_path.glob("diffusion/paper/trials/*.parquet"))
    assert run(*args).returncode == 0
    again = read_sweep(str(tmp_path), "diffusion", "paper")
    key = ("at", "metric.loss", "metric.unseen_accuracy")
    curves = [
        [
            [step[name] for name in key]
            for step in sorted(s.steps.to_pylist(), key=lambda r: r["at"])
        ]
        for s in (sweep, again)
    ]
    assert json.dumps(curves[0]) == json.dumps(curves[1])
    assert again.samples.sort_by("sample")["picture"] == sweep.samples.sort_by("sample")["picture"]
