"""One Ray cluster for the tests of this folder that run in the same process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import small_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    with small_cluster() as address:
        yield address
