"""Compares this machine with the environment that a sweep recorded."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.environment import provenance
from orchestrator.environment.describe import changes, distributions
from results.storage.manifest import Manifest
from results.storage.manifest_parts import GitState
from results.text import plural

#: Packages that can change a number; the others are only counted.
NUMERIC = ("torch", "transformers", "tokenizers", "numpy", "scipy", "pillow", "safetensors")


def environment_differences(manifest: Manifest) -> list[str]:
    """Describe in at most two lines how this machine differs from a sweep's environment."""
    recorded = _recorded_versions(manifest)
    here = {"python": provenance.versions()["python"], **_split(distributions()[0])}
    changed = [
        f"{name} {recorded[name]} (here {here.get(name, 'missing')})"
        for name in ("python", *NUMERIC)
        if name in recorded and recorded[name] != here.get(name)
    ]
    others = sum(
        recorded.get(name) != here.get(name) for name in {*recorded, *here} - {"python", *NUMERIC}
    )
    lines = []
    if changed:
        more = (
            f"; {plural(others, 'other package')} differ" if others and manifest.environment else ""
        )
        lines.append(f"Recorded with {', '.join(changed)}{more}: numbers may differ.")
    diff = manifest.environment.diff if manifest.environment else ""
    before, now = _checkout(manifest.git, diff), _checkout(provenance.git(), _diff_here())
    if before and now and before != now:
        where = " (changes.diff in the archive)" if diff else ""
        lines.append(f"Recorded at {before[0]}{where}; this machine has {now[0]}.")
    return lines


def _diff_here() -> str:
    return changes()[0]


def _checkout(git: GitState | None, diff: str) -> tuple[str, str] | None:
    """Describe a checkout, and return its diff; None outside of a checkout."""
    if git is None:
        return None
    dirty = " with changes" if git.dirty else ""
    return f"commit {git.commit[:12]}{dirty}", diff


def _recorded_versions(manifest: Manifest) -> dict[str, str]:
    versions = {name: str(version) for name, version in manifest.versions.items()}
    environment = manifest.environment
    return {**versions, **(_split(environment.distributions) if environment else {})}


def _split(lines: Sequence[str]) -> dict[str, str]:
    pairs = (line.partition("==") for line in lines)
    return {name.replace("_", "-").lower(): version for name, _, version in pairs}
