"""What this project declares that it needs, beside what is installed."""

from __future__ import annotations

import importlib.metadata
import platform
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from orchestrator.doctor.findings import Finding

DISTRIBUTION = "multimodal-sweep-orchestrator"


def declared() -> tuple[str, list[str]]:
    """(Python's range, requirements) of this checkout, or of the installed package."""
    file = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text())["project"]
        return project["requires-python"], project["dependencies"]
    try:
        found: Any = importlib.metadata.metadata(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "", []
    needed = importlib.metadata.requires(DISTRIBUTION) or []
    return found.get("Requires-Python", ""), [line for line in needed if "extra ==" not in line]


def check_requirements() -> list[Finding]:
    """A line for Python, one for each package that does not fit, and one for all that do."""
    wanted_python, lines = declared()
    python = platform.python_version()
    findings = [
        Finding("ok", "python", python)
        if python in SpecifierSet(wanted_python)
        else Finding(
            "wrong", "python", f"{python}, but {wanted_python} is needed", "install another Python"
        )
    ]
    bad = [finding for line in lines for finding in _check(line)]
    if len(bad) < len(lines):
        share = f"{len(lines) - len(bad)} of {len(lines)}"
        findings.append(Finding("ok", "packages", f"{share} as required"))
    return [*findings, *bad]


def _check(line: str) -> list[Finding]:
    try:
        wanted = Requirement(line)
    except InvalidRequirement:
        return []
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
        return []
    mend = f"pip install '{line.split(';')[0].strip()}'"
    try:
        version = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        if wanted.name == "ray":
            return [Finding("warning", "packages", "no Ray: only --engine local runs", mend)]
        return [Finding("wrong", "packages", f"{wanted.name} is not installed", mend)]
    if wanted.specifier.contains(version, prereleases=True):
        return []
    text = f"{wanted.name} {version}, but {wanted.specifier} is needed"
    return [Finding("wrong", "packages", text, mend)]
