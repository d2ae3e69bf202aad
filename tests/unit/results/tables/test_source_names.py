"""Names of models and data without local folders."""

from __future__ import annotations

import pytest

from results.tables.source_names import short_name


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("blip-scenes", "blip-scenes"),
        ("Salesforce/blip-itm-base-coco", "Salesforce/blip-itm-base-coco"),
        ("/home/me/models/blip", "blip"),
        ("folder:/home/me/photos", "folder:photos"),
        ("folder:/home/me/photos,val=0.1", "folder:photos,val=0.1"),
        (f"hub:lab/photos@{'0123' * 10},captions=text", "hub:lab/photos@0123012,captions=text"),
        ("hub:/home/me/photos,streaming", "hub:photos,streaming"),
        ("webdataset:/home/me/{00..10}.tar", "webdataset:{00..10}.tar"),
        ("/home/me/vit+lab/bert", "vit+lab/bert"),
        ("package.module:factory+/home/me/bert", "package.module:factory+bert"),
    ],
)
def test_short_name_hides_folders(name: str, short: str) -> None:
    assert short_name(name) == short
