"""Find the folder that ``--data`` names, which every node must have."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder(data: str) -> str | None:
    """Return the folder in the value of ``--data``, or None if it names none.

    Examples:
        >>> data_folder("folder:/photos,val=0.1"), data_folder("coco:/coco,year=2017")
        ('/photos', '/coco')
        >>> data_folder("webdataset:/shards/{000..009}.tar"), data_folder("hub:user/photos")
        ('/shards', None)
    """
    kind, _, text = data.partition(",val=")[0].partition(":")
    if kind == "hub":
        path = text.partition(",")[0]
        return path if path.startswith((".", "/", "~")) or os.path.isdir(path) else None
    options = {"coco": ",year=", "webdataset": ",captions="}
    folder = text.partition(options[kind])[0] if kind in options else text
    if kind == "webdataset" and (folder.endswith(".tar") or "{" in folder):
        return os.path.dirname(folder.partition("{")[0] + "x") or "."
    if folder and ("/" in folder or Path(folder).expanduser().exists()):
        return folder
    return None
