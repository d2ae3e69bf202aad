"""The figures that a sweep saves beside its results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console
from sweeps_with_figures import MANIFEST, make_store, result

from orchestrator.running.print_results import _save_figures
from results.figures import drawing as figures
from results.figures import saved as saved_figures
from results.figures.saved import save_figures
from results.figures.sweep_charts import sweep_charts
from results.storage.reading import Sweep, read_sweep

FORMS = ("png", "svg")


def save(root: str) -> str:
    return save_figures(read_sweep(root, "toy", "s"))


def times(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}


def test_figures_are_saved_beside_the_results(tmp_path: Path) -> None:
    make_store(str(tmp_path)).add([result("one", 0.5), result("two", 0.7)])
    folder = tmp_path / "toy" / "s" / "figures"
    assert save(str(tmp_path)) == f"Figures: {folder}"
    curves = {f"{name}.{form}" for name in ("score", "one-curves", "two-curves") for form in FORMS}
    sheets = {f"{name}-pictures.png" for name in ("one", "two")}
    assert set(times(folder)) == {*curves, *sheets, "index.json"}
    for file in folder.glob("*.png"):
        with Image.open(file) as image:
            assert image.width > 2 * 8
    drawn = (folder / "score.svg").read_text()
    assert "lr 0.5" in drawn  # a line per trial, by what differs
    assert "<!-- epoch -->" in drawn


def test_unchanged_figures_are_not_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(str(tmp_path))
    store.add([result("one", 0.5)])
    line, folder = save(str(tmp_path)), tmp_path / "toy" / "s" / "figures"
    before = times(folder)
    sweep = read_sweep(str(tmp_path), "toy", "s")
    with monkeypatch.context() as patched:
        patched.setattr(figures, "figure_of", None)
        assert save_figures(sweep) == line
    assert times(folder) == before
    assert not {"steps", "samples"} & vars(sweep).keys()  # known from the trials alone
    store.add([result("two", 0.7)])
    assert save(str(tmp_path)) == line
    after = times(folder)
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"score.png", "score.svg", "index.json"}
    (folder / "index.json").write_text("{")
    save(str(tmp_path))
    assert all(after[name] != at for name, at in times(folder).items())


def test_only_the_best_trials_have_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_figures, "MAX_TRIALS", 2)
    store = make_store(str(tmp_path))
    store.add([result(f"t{number}", number / 10) for number in range(4)])
    folder = tmp_path / "toy" / "s" / "figures"
    assert save(str(tmp_path)) == f"Figures (of single trials, the best 2 of 4): {folder}"
    sheets = {file.name for file in folder.glob("*-pictures.png")}
    assert sheets == {"t2-pictures.png", "t3-pictures.png"}
    store.add([result("t9", 0.9)])
    save(str(tmp_path))
    sheets = {file.name for file in folder.glob("*-pictures.png")}
    assert sheets == {"t3-pictures.png", "t9-pictures.png"}
    assert not list(folder.glob("t2*"))


def test_message_mentions_a_selection_only_for_trial_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_figures, "MAX_TRIALS", 2)
    store = make_store(str(tmp_path), columns=MANIFEST["columns"][:1])
    store.add([result(f"t{number}", number / 10, pictures=False) for number in range(4)])
    assert save(str(tmp_path)) == f"Figures: {tmp_path / 'toy' / 's' / 'figures'}"


def test_a_sweep_without_curves_or_pictures_has_no_figures(tmp_path: Path) -> None:
    make_store(str(tmp_path), shown_samples=None).add([result("one", 0.5, 1, pictures=False)])
    assert save(str(tmp_path)) == ""
    assert not (tmp_path / "toy" / "s" / "figures" / "index.json").exists()


def test_failure_to_draw_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_store(str(tmp_path)).add([result("one", 0.5)])

    def broken(*_: object) -> None:
        raise RuntimeError("no\nfont")

    monkeypatch.setattr(figures, "figure_of", broken)
    _save_figures(read_sweep(str(tmp_path), "toy", "s"), Console(stderr=True))
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err == "The figures could not be drawn (RuntimeError: no font).\n"


def test_ranking_reads_the_trials_a_fixed_number_of_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(number: int) -> int:
        root = str(tmp_path / str(number))
        make_store(root).add([result(f"t{i}", i / number) for i in range(number)])
        calls = [0]
        rows = Sweep.rows

        def counted(sweep: Sweep) -> list[dict[str, Any]]:
            calls[0] += 1
            return rows(sweep)

        with monkeypatch.context() as patched:
            patched.setattr(Sweep, "rows", counted)
            sweep = read_sweep(root, "toy", "s")
            sweep_charts(sweep, sweep.rows())
        return calls[0]

    assert count(12) == count(3)
