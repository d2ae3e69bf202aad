"""``--sampler auto``: OptunaHub's AutoSampler, which a sweep never downloads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

import orchestrator as orc
from orchestrator.search.auto_sampler import PACKAGE, cache_folder
from orchestrator.search.samplers import make_sampler
from results import extras
from results.storage.reading import read_sweep
from results.tables.summary import summarize
from tasks.contract import RequestError

REGISTRY = "github.com/optuna/optunahub-registry"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder in which optunahub keeps downloads."""
    monkeypatch.setenv("OPTUNAHUB_CACHE_HOME", str(tmp_path / "hub"))
    yield tmp_path / "hub"
    for name in [name for name in sys.modules if name.startswith("optunahub_registry")]:
        del sys.modules[name]


def put(cache: Path, text: str, branch: str = "main") -> None:
    """Write a package where optunahub puts the AutoSampler."""
    folder = cache / REGISTRY / branch / "package" / PACKAGE
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(text)


def test_it_needs_optunahub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: module != "optunahub")
    with pytest.raises(RequestError, match=r"--sampler auto needs optunahub, .*\[hub\]"):
        make_sampler("auto", 0)


def test_it_must_be_downloaded(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: True)
    with pytest.raises(RequestError) as caught:
        make_sampler("auto", 0)
    text = str(caught.value)
    assert f"OptunaHub's AutoSampler is not in {cache}. Download it once with python -c" in text
    assert "import optunahub; optunahub.load_module('samplers/auto_sampler')" in text


@pytest.mark.parametrize(
    ("set_", "expected"),
    [
        ({"OPTUNAHUB_CACHE_HOME": "/a"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/optunahub"),
        ({"HOME": "/c"}, "/c/.cache/optunahub"),
    ],
)
def test_the_folder_is_that_of_optunahub(
    monkeypatch: pytest.MonkeyPatch, set_: dict[str, str], expected: str
) -> None:
    for name in ("OPTUNAHUB_CACHE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in set_.items():
        monkeypatch.setenv(name, value)
    assert str(cache_folder()) == expected


def test_a_downloaded_package_is_used(cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("optunahub")
    put(cache, "AutoSampler = None\n", branch="an-older-commit")
    put(cache, "from optuna.samplers import TPESampler as AutoSampler\n")
    found = orc.sweep(
        "toy",
        {"lr": {"min": 1e-3, "max": 0.1}},
        set={"epochs": 1},
        sampler="auto",
        trials=3,
        engine="local",
        out=tmp_path / "out",
    )
    sweep = read_sweep(str(tmp_path / "out"), *found.name.split("/"))
    assert sweep.trials.num_rows == 3
    assert sweep.manifest.search is not None
    assert sweep.manifest.search.sampler == {"name": "auto"}
    assert any(
        "Chosen by OptunaHub's AutoSampler (--sampler auto)" in line
        for line in summarize(sweep)[0].caption
    )


def test_a_package_that_does_not_work_is_named(cache: Path) -> None:
    pytest.importorskip("optunahub")
    put(cache, "import a_package_that_nobody_has\n")
    with pytest.raises(RequestError) as caught:
        make_sampler("auto", 0)
    assert f"the AutoSampler in {cache}" in str(caught.value)
    assert "failed with ModuleNotFoundError" in str(caught.value)
    assert "delete that folder and download it again" in str(caught.value)


def test_the_real_one_suggests_the_same_again() -> None:
    """Where the user or the machine's image has downloaded it."""
    pytest.importorskip("optunahub")
    if not any(cache_folder().glob(f"{REGISTRY}/*/package/{PACKAGE}/__init__.py")):
        pytest.skip("OptunaHub's AutoSampler is not downloaded")

    def suggested() -> list[float]:
        study = optuna.create_study(sampler=make_sampler("auto", 3))
        study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=14)
        return [trial.params["x"] for trial in study.trials]

    assert suggested() == suggested()
