"""Folders of models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from tasks.contract import ModelError
from tasks.models.folders import find_folder


def test_a_model_of_the_hub_is_asked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in ("config.json", "model.safetensors"):
        (tmp_path / file).touch()
    asked: list[str] = []

    def download(name: str, **options: Any) -> str:
        asked.append(name)
        if len(asked) == 1:
            raise OSError("no connection")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ModelError, match=r"can be downloaded here \(OSError\)"):
        find_folder("lab/asked-once")
    for _ in range(3):  # a failure is not kept
        assert find_folder("lab/asked-once") == tmp_path
    assert len(asked) == 2
