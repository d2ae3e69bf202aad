"""One Ray cluster for all tests of this folder, which run one after the other in one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import small_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    with small_cluster() as address:
        yield address
