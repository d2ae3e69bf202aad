"""The documentation site builds without a warning, and loads nothing from other servers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site, from a copy of the documents."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    for package in ("orchestrator", "results", "search_spaces", "tasks"):
        (folder / package).symlink_to(ROOT / package)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    assert "No issues found" in printed
    # What docstrings say of arguments is checked while they are read.
    assert "griffe: " not in printed, printed
    return folder / "site"


def test_pages_load_nothing_from_other_servers(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?([^\s\">]+)", page.read_text()
        )
        assert loaded
        assert not [address for address in loaded if address.startswith(("http", "//"))], page


def test_every_command_has_a_section_with_its_options(site: Path) -> None:
    page = (site / "reference" / "commands.html").read_text()
    assert 'id="sweep"' in page
    assert "--checkpoint-interval TIME" in page


def test_diagrams_are_pictures_on_the_page(site: Path) -> None:
    page = (site / "explanation" / "design.html").read_text()
    assert page.count('<figure class="diagram"><svg') == 2
    assert "```" not in page


def test_types_are_described_from_their_docstrings(site: Path) -> None:
    page = (site / "reference" / "task-contract.html").read_text()
    for name in ("Column", "PerSampleMetric", "Stage", "Step", "TrialError"):
        assert f'id="tasks.contract.{name}"' in page or f'id="tasks.contract.errors.{name}"' in page
