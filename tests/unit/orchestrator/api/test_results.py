"""A stored sweep in Python: its tables in a terminal and a notebook, its best, claims and model."""

from __future__ import annotations

from pathlib import Path

import pytest
from paths import STORED
from rich.console import Console

import orchestrator as orc


@pytest.fixture(scope="module")
def stored() -> orc.Sweep:
    return orc.load(STORED / "toy" / "stored")


def test_tables_print_as_report_prints_them(stored: orc.Sweep) -> None:
    text = str(stored.table())
    assert "\nDegrees\n" in text
    assert "4 reproduced, 1 undecided" in text
    assert "4 reproduced" not in str(stored.table(published=False))
    console = Console(width=100, record=True)
    with console.capture() as captured:
        console.print(stored)
    assert "\nDegrees\n" in captured.get()


def test_a_notebook_shows_tables_as_html(stored: orc.Sweep) -> None:
    html = stored._repr_html_()
    assert html == stored.table()._repr_html_()
    assert html.startswith("<pre")
    assert html.endswith("</pre>")
    assert ">Degrees</span>" in html
    assert 'style="font-weight: bold"' in html
    assert "\x1b" not in html


def test_rows_as_arrow_and_pandas(stored: orc.Sweep) -> None:
    assert stored.trials.num_rows == 12
    frame = stored.trials.to_pandas()
    assert set(frame["param.degree"]) == {1, 3, 4, 5}
    assert {"at", "metric.error"} <= set(stored.steps.column_names)
    assert {"point", "squared_error"} <= set(stored.samples.column_names)


def test_the_best_configuration(stored: orc.Sweep) -> None:
    best = stored.best
    errors: dict[int, list[float]] = {}
    for row in stored.trials.to_pylist():
        errors.setdefault(row["param.degree"], []).append(row["metric.error"])
    means = {degree: sum(each) / len(each) for degree, each in errors.items()}
    assert best.params["degree"] == min(means, key=means.__getitem__)
    assert best.metrics["error"] == pytest.approx(min(means.values()))
    assert best.interval is not None
    assert best.interval[0] < best.metrics["error"] < best.interval[1]
    assert len(best.trial_ids) == 3


def test_claims_have_verdicts(stored: orc.Sweep) -> None:
    assert [claim.verdict for claim in stored.claims].count("reproduced") == 4


def test_what_it_is(stored: orc.Sweep) -> None:
    assert stored.name == "toy/stored"
    assert repr(stored).startswith("<Sweep toy/stored: 12 of 12 trials finished, in ")


def test_an_archive_is_loaded_as_well(tmp_path: Path) -> None:
    from orchestrator.sharing.archive import archive_sweep

    archive_sweep(str(STORED), "toy", "stored", str(tmp_path / "stored.zip"))
    assert orc.load(tmp_path / "stored.zip").trials.num_rows == 12


def test_errors_say_what_load_takes(tmp_path: Path) -> None:
    with pytest.raises(orc.RequestError, match="load takes OUT/TASK/NAME"):
        orc.load("paper")
    with pytest.raises(orc.StoreError, match="no sweep 'x' of toy under"):
        orc.load(tmp_path / "toy" / "x")
    assert issubclass(orc.StoreError, orc.SweepError)


def test_a_name_that_does_not_exist_is_no_part_of_the_api() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'sweeep'"):
        _ = orc.sweeep
    assert {"sweep", "load", "task", "shared", "checkpoint", "samples"} <= set(dir(orc))
    for name in orc.__all__:
        assert getattr(orc, name).__module__.split(".")[0] in ("orchestrator", "tasks")
