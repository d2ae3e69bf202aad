"""Segmentation from data to tables, pictures, a score on test, and an exported model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from harness import run_command
from masked_folders import draw_masked_folder, save_voc, scene_photos
from PIL import Image

from results.figures.trial_pictures import pictures_of
from results.storage.reading import Sweep, read_sweep
from results.tables.looks import read_looks
from results.tables.summary import summarize
from tasks.segmentation.masked import SCENE_CLASSES

SMALL = ("--set=batch_size=8", "--set=image_size=64", "--set=precision=float32", "--engine=local")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_masked_folder(tmp_path_factory.mktemp("masks"), train=24, val=20, test=16)


@pytest.fixture(scope="module")
def out(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a small grid that is scored on test, with all weights kept."""
    folder = tmp_path_factory.mktemp("out")
    done = run_command(
        *("sweep", "segmentation", f"--data=folder:{data}", f"--out={folder}", "--name=s"),
        *("--set=head=linear,upernet", "--set=epochs=2", *SMALL, "--keep=all", "--final=test"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mean IoU" in done.stdout
    return folder


@pytest.fixture(scope="module")
def sweep(out: Path) -> Sweep:
    return read_sweep(str(out), "segmentation", "s")


def test_table_has_intervals_of_the_mean_iou(sweep: Sweep) -> None:
    (table,) = summarize(sweep, None)
    assert len(table.rows) == 2
    for entry in table.rows:
        assert entry.estimate is not None
        assert entry.estimate.low < entry.metrics["metric.miou"] < entry.estimate.high
    for row in sweep.rows():
        assert 0 < row["metric.miou"] < 1
        assert row["metric.iou_background"] > row["metric.miou"]


def test_score_on_test_was_recorded(out: Path) -> None:
    (look,) = read_looks(read_sweep(str(out), "segmentation", "s"))
    assert look.split == "test"
    for row in look.rows:
        assert 0 < row.test < 1
        assert row.test == row.metrics["metric.miou"]


def test_trial_shows_its_worst_images(sweep: Sweep, out: Path, tmp_path: Path) -> None:
    trial = sweep.rows()[0]
    groups = pictures_of(sweep, trial)
    assert list(groups) == ["worst images", "truth", "prediction"]
    assert {len(pictures) for pictures in groups.values()} == {12}
    found = sweep.samples.filter(pc.equal(sweep.samples["trial_id"], trial["trial_id"]))
    scores = found.filter(pc.equal(found["view"], "scores"))
    assert scores.num_rows == 20
    assert not scores["overlap"].null_count
    sheet = tmp_path / "sheet.png"
    show = ("show", "segmentation/s", trial["trial_id"][:8], f"--out={out}")
    assert run_command(*show, f"--pictures={sheet}").returncode == 0
    with Image.open(sheet) as image:
        assert image.width > 12 * 64
    page = tmp_path / "page.html"
    report = ("report", "segmentation/s", f"--out={out}", "--format=html", f"--to={page}")
    assert run_command(*report).returncode == 0
    assert page.read_text().count("data:image/png") >= 1


def test_exported_model_predicts_the_masks_of_its_trial(
    sweep: Sweep, out: Path, data: Path, tmp_path: Path
) -> None:
    program = """
import json, sys
import numpy as np
from PIL import Image
from load import CLASSES, load
segment = load()
masks = [segment(Image.open(f"{sys.argv[1]}/{index}.png")).tolist() for index in range(20)]
json.dump([CLASSES, masks], open(sys.argv[2], "w"))
"""
    for row in sweep.rows():
        folder, answer = tmp_path / row["trial_id"], tmp_path / "answer.json"
        done = run_command("export", "segmentation/s", row["trial_id"], str(folder), f"--out={out}")
        assert done.returncode == 0, done.stderr
        images = data / "val" / "images"
        # The project is not on the path of an isolated process.
        words = [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(folder)!r})\n{program}",
        ]
        ran = subprocess.run(
            [*words, str(images), str(answer)], cwd="/", capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        classes, masks = json.loads(answer.read_text())
        assert tuple(classes) == SCENE_CLASSES
        truth = np.stack(
            [np.asarray(Image.open(data / "val" / "masks" / f"{n}.png")) for n in range(20)]
        )
        accuracy = float((np.array(masks) == truth).mean())
        assert accuracy == pytest.approx(row["metric.pixel_accuracy"], abs=1e-3)


def test_voc_folder_with_windows_crops_and_flips(tmp_path: Path) -> None:
    """Images of several sizes, with ignored pixels."""
    (tmp_path / "photos").mkdir()
    folder = save_voc(tmp_path / "voc", scene_photos(tmp_path / "photos", 14), num_val=4)
    done = run_command(
        *("sweep", "segmentation", f"--data=voc:{folder}", f"--out={tmp_path}", "--name=v"),
        *("--set=head=linear,upernet", "--set=evaluation=slide", "--set=flip=true"),
        *("--set=crop_size=48", "--set=augment=true", "--set=epochs=2", *SMALL),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = read_sweep(str(tmp_path), "segmentation", "v").rows()
    assert [row["status"] for row in rows] == ["finished"] * 2
    assert all(0 <= row["metric.miou"] < 1 for row in rows)
