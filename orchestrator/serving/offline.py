"""A sweep as one offline page."""

from __future__ import annotations

from datetime import UTC, datetime

from orchestrator.serving.trial_images import embedded_images
from results.page.file_page import file_page
from results.storage.folder_files import sweep_files
from results.storage.reading import Sweep
from results.tables.overview import overview_of


def offline_page(sweep: Sweep) -> str:
    """Return the HTML of a sweep's page; see ``results.page.file_page``."""
    now = datetime.now(UTC)
    files = sweep_files(sweep.root, sweep.manifest.task, sweep.manifest.name)
    return file_page(sweep, overview_of(sweep, files, now), now, embedded_images())
