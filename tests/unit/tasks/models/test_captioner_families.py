"""The family of a captioning model."""

from __future__ import annotations

import json
from pathlib import Path

from tasks.contract import Source
from tasks.models.captioner_families import find_captioner_family


def save_config(folder: Path, family: str) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": family}))
    (folder / "model.safetensors").write_bytes(b"")


def test_family_is_read_once_for_each_content(tmp_path: Path) -> None:
    save_config(tmp_path, "git")
    model = Source(name=str(tmp_path), fingerprint="1")
    assert find_captioner_family(model) == "git"
    save_config(tmp_path, "florence2")
    assert find_captioner_family(Source(name=str(tmp_path), fingerprint="2")) == "florence2"
    (tmp_path / "config.json").unlink()
    assert find_captioner_family(model) == "git"
