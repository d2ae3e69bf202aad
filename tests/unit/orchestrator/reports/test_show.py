"""``show``: files that it saves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from drawn_charts import sweep_of
from PIL import Image
from sweeps_with_figures import result

from orchestrator.reports.show import show
from results.storage.reading import read_sweep
from tasks.contract import RequestError


def asked(tmp_path: Path, capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    sweep = read_sweep(str(tmp_path), "toy", "s")
    options = {"trial": None, "save": None, "pictures": None, **options}
    show(sweep, options.pop("trial"), **options)
    return capsys.readouterr().out


def test_show_prints_the_saved_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial = result("one", 0.5)
    trial.trial.update(seconds=1.0)  # type: ignore[attr-defined]
    sweep_of(tmp_path, trial)
    curve, sheet = tmp_path / "c.png", tmp_path / "p.png"
    output = asked(tmp_path, capsys, trial="one", save=str(curve), pictures=str(sheet))
    assert output.splitlines()[-2:] == [f"Saved {curve}.", f"Saved {sheet}."]
    for file in (curve, sheet):
        with Image.open(file) as image:
            image.verify()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.png", "p.png", "toy"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"trial": "bare", "pictures": "p.png"},
            "--pictures: the samples of trial bare contain no pictures",
        ),
        ({"trial": "short", "pictures": "p.png"}, "--save: trial short has fewer than two steps"),
        ({"pictures": "p.png"}, "--pictures requires a trial: show NAME TRIAL"),
        ({"trial": "one", "pictures": "p.svg"}, "--pictures takes FILE.png"),
        ({"trial": "one", "pictures": "nowhere/p.png"}, "no such folder"),
        ({"trial": "one", "pictures": "c.png"}, "--save and --pictures both name"),
    ],
)
def test_no_file_is_written_if_one_is_impossible(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, Any], message: str
) -> None:
    trials = [result("one", 0.5), result("bare", 0.4, pictures=False), result("short", 0.3, 1)]
    sweep_of(tmp_path, *trials)
    options["pictures"] = str(tmp_path / options["pictures"])
    with pytest.raises(RequestError, match=message):
        asked(tmp_path, capsys, save=str(tmp_path / "c.png"), **options)
    assert [file.name for file in tmp_path.iterdir()] == ["toy"]
    assert capsys.readouterr().out == ""
