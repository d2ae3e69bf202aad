"""Makes Ray's workers import modules from the same directories as the driver.

Ray puts the driver's current directory first on the workers' import path, even if it is not on the
driver's own, as with the installed command ``orchestrator``. A file ``tasks.py`` in that directory
would then hide our package ``tasks`` and break every worker.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ray.job_config import JobConfig


class WithoutCurrentDirectory(JobConfig):  # type: ignore[misc]
    """Keeps the current directory off the workers' import path (Ray 2.60, ``worker.connect``)."""

    def _runtime_env_has_working_dir(self) -> bool:
        return True


def job_config() -> JobConfig:
    """Return the job configuration that matches the import path of this process."""
    import_path = {Path(entry or os.curdir).resolve() for entry in sys.path}
    return JobConfig() if Path.cwd().resolve() in import_path else WithoutCurrentDirectory()
