"""Compares the installed packages with the ones that this project requires."""

from __future__ import annotations

import importlib.metadata
import platform
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from orchestrator.doctor.findings import Finding
from results.extras import EXTRAS, is_installed, missing

DISTRIBUTION = "multimodal-sweep-orchestrator"
PURPOSES = {  # what the optional packages are for
    "ray": "--engine ray",
    "optuna": "--space search",
    "matplotlib": "saving figures",
    "plotext": "drawing curves in the terminal",
}


def declared_requirements() -> tuple[str, list[str]]:
    """Return the Python range and the requirements of this checkout or the installed package.

    The optional packages of ``EXTRAS`` are included, those of trackers only if they are installed.
    """
    extras = {
        extra
        for module, extra in EXTRAS.items()
        if not extra.startswith("track-") or is_installed(module)
    }
    file = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text())["project"]
        optional = project["optional-dependencies"]
        lines = [line for extra in sorted(extras) for line in optional[extra]]
        return project["requires-python"], [*project["dependencies"], *lines]
    try:
        metadata: Any = importlib.metadata.metadata(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "", []
    lines = [
        line.partition(";")[0].strip()
        for line in importlib.metadata.requires(DISTRIBUTION) or []
        if _applies(Requirement(line), extras)
    ]
    return metadata.get("Requires-Python", ""), lines


def _applies(requirement: Requirement, extras: Collection[str]) -> bool:
    """Return whether this machine needs a package, or one of the extras does."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def check_requirements() -> list[Finding]:
    """Return one finding for Python, one for all satisfied packages, one per other package."""
    python_range, lines = declared_requirements()
    python = platform.python_version()
    findings = [
        Finding("ok", "python", python)
        if python in SpecifierSet(python_range)
        else Finding(
            "error",
            "python",
            f"{python}, but {python_range} is required",
            f"install Python {python_range}",
        )
    ]
    bad = [finding for line in lines for finding in _check_requirement(line)]
    if len(bad) < len(lines):
        share = f"{len(lines) - len(bad)} of {len(lines)}"
        findings.append(Finding("ok", "packages", f"{share} satisfy the requirements"))
    return [*findings, *bad]


def _check_requirement(line: str) -> list[Finding]:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return []
    if not _applies(requirement, ()):
        return []
    fix = f"pip install '{line.split(';')[0].strip()}'"
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        if requirement.name in PURPOSES:
            text, _, command = missing(PURPOSES[requirement.name], requirement.name).partition(": ")
            return [Finding("warning", "packages", text, command)]
        return [Finding("error", "packages", f"{requirement.name} is not installed", fix)]
    if requirement.specifier.contains(version, prereleases=True):
        return []
    text = f"{requirement.name} {version}, but {requirement.specifier} is required"
    return [Finding("error", "packages", text, fix)]
