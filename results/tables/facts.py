"""Where a sweep or a trial comes from, as names and texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow.fs

from results.storage.manifest import Manifest
from results.storage.reading import Sweep
from results.tables.trials import trial_status
from results.text import plural


def sweep_facts(sweep: Sweep, weights: str = "") -> dict[str, str]:
    """Return the origin of a sweep by name. ``weights`` describes its weights."""
    manifest = sweep.manifest
    git = manifest.git
    commit = f"{git.commit[:12]}{' with changes' if git.dirty else ''}" if git else "-"
    diff = manifest.environment.diff if manifest.environment else ""
    commit += f" ({plural(diff.count(chr(10)) + 1, 'line')} of diff recorded)" if diff else ""
    versions = ", ".join(f"{name} {v}" for name, v in manifest.versions.items() if v)
    hardware = ", ".join(f"{name} {v}" for name, v in manifest.hardware.items() if v)
    return {
        "command": " ".join(manifest.command),
        **_runs(manifest),
        "model": f"{manifest.model.name} ({manifest.model.fingerprint})",
        "data": f"{manifest.data.name} ({manifest.data.fingerprint})",
        "commit": commit,
        "versions": versions,
        "hardware": hardware,
        **({"weights": weights} if weights else {}),
        **({"logs": logs} if (logs := _logs(sweep)) else {}),
    }


def trial_facts(sweep: Sweep, trial: Mapping[str, Any], weights: str = "") -> dict[str, str]:
    """Return the status and origin of a trial by name. ``weights`` describes its weights."""
    took = f"{trial['seconds'] or 0:.1f} s, {plural(trial['num_steps'] or 0, 'step')}"
    return {
        "trial": trial["trial_id"],
        "status": f"{trial_status(trial)} ({took})",
        "computed in": trial["reused_from"] or sweep.manifest.full_name,
        "model": f"{trial['model']} ({trial['model_fingerprint']})",
        "data": f"{trial['data']} ({trial['data_fingerprint']})",
        "seed": str(trial["seed"]),
        **({"weights": weights} if weights else {}),
        **({"log": log} if (log := log_of(sweep, trial)) else {}),
    }


def log_of(sweep: Sweep, trial: Mapping[str, Any]) -> str:
    """Return the file with a failed trial's whole log; empty if there is none."""
    path = f"{sweep.path}/logs/{trial['trial_id']}.log"
    found = sweep.filesystem.get_file_info(path)
    return path if found.type == pyarrow.fs.FileType.File else ""


def _runs(manifest: Manifest) -> dict[str, str]:
    """Return when the sweep started and how long it took; of several runs also the last one's."""
    last = f"{_time(manifest.started)}, {manifest.seconds:.0f} s on {manifest.engine}"
    if manifest.first_started is None:
        return {"started": last}
    seconds = manifest.earlier_seconds + manifest.seconds
    first = f"{_time(manifest.first_started)}, {manifest.num_runs} runs, {seconds:.0f} s in all"
    return {"started": first, "last run": last}


def _time(text: str) -> str:
    return f"{text[:19].replace('T', ' ')} UTC"


def _logs(sweep: Sweep) -> str:
    """Return the folder of a sweep's logs, and how many there are; empty if there is none."""
    folder = f"{sweep.path}/logs"
    found = sweep.filesystem.get_file_info(pyarrow.fs.FileSelector(folder, allow_not_found=True))
    return f"{folder} ({plural(len(found), 'file')})" if found else ""
