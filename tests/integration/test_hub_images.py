"""Images of ``hub:`` data that rows name are read only from the data set."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from captioned_layouts import encoded, write_image

from tasks.contract import DataError
from tasks.datasets.hub_images import ImageBytes
from tasks.datasets.hub_name import parse_hub_name
from tasks.datasets.hub_rows import TextRow

pytest.importorskip("datasets", reason="datasets is not installed")


@pytest.mark.parametrize(
    "path",
    [
        "file://{0}/secret.png::{0}/d/x.zip",
        "simplecache::file://{0}/secret.png::{0}/d/x.zip",
        "http://localhost/x.png::hf://datasets/lab/d@main/x.zip",
        "hf://datasets/lab/d@main/../../other/x.png",
        "zip://x.png::{0}/secret.zip",
        "{0}/d/link.png",
        "{0}/d/../secret.png",
    ],
)
@pytest.mark.parametrize("name", ["hub:{0}/d", "hub:lab/d"])
def test_no_image_is_outside_of_the_data(name: str, path: str, tmp_path: Path) -> None:
    """Neither by a chain of file systems, nor by a link, nor by dots."""
    write_image(tmp_path / "secret.png")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "link.png").symlink_to(tmp_path / "secret.png")
    for archive in (tmp_path / "secret.zip", tmp_path / "d" / "x.zip"):
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("x.png", encoded())
    found = [path.format(tmp_path), f"zip://x.png::{tmp_path}/d/x.zip"]
    images = ImageBytes(
        Images([{"bytes": None, "path": each} for each in found]),
        parse_hub_name(name.format(tmp_path).removeprefix("hub:")),
    )
    with pytest.raises(DataError, match="row 0 of train names a file outside of the data set"):
        images.read("train", 0)
    if name != "hub:lab/d":
        assert images.read("train", 1) == encoded()


class Images:
    """Rows of a split, as ``Rows`` has them."""

    def __init__(self, found: list[dict[str, Any]]) -> None:
        self._found = found

    def texts(self, split: str) -> Iterator[TextRow]:
        return iter(())

    def image(self, split: str, number: int) -> dict[str, Any]:
        return self._found[number]
