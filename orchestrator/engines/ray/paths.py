"""Where Ray's workers look for modules: where the driver does.

Ray puts the driver's current directory first on its workers' import path, even where the driver
itself does not look there, as under the installed command ``orchestrator``. A stray ``tasks.py``
in that directory would then break every worker.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ray.job_config import JobConfig


class WithoutCurrentDirectory(JobConfig):  # type: ignore[misc]
    """Adds no directory to the workers' import path (Ray 2.60, ``worker.connect``)."""

    def _runtime_env_has_working_dir(self) -> bool:
        return True


def job_config() -> JobConfig:
    """Ray's own configuration where this process imports from its current directory."""
    here = Path.cwd().resolve()
    looked_at = {Path(entry or os.curdir).resolve() for entry in sys.path}
    return JobConfig() if here in looked_at else WithoutCurrentDirectory()
