"""License and base models of a saved model."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.models.saving import find_license, hub_ids


@pytest.mark.parametrize(
    ("readme", "found"),
    [
        ("---\nlicense: apache-2.0\n---\n# Model\n", "apache-2.0"),
        ("---\ntags:\n- x\nlicense: 'mit'\n---\n", "mit"),
        ("# Model\nlicense: mit\n", None),
        ("---\nlanguage: en\n---\nlicense: mit\n", None),
        (None, None),
    ],
)
def test_license_is_read_from_the_front_matter(
    readme: str | None, found: str | None, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    if readme is not None:
        (tmp_path / "README.md").write_text(readme)
    assert find_license(str(tmp_path)) == found
    assert find_license(f"{tmp_path}+{tmp_path}") == found
    assert hub_ids(str(tmp_path)) == []


def test_pair_with_different_licenses_has_none(tmp_path: Path) -> None:
    for name, text in (("a", "mit"), ("b", "apache-2.0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(b"")
        (tmp_path / name / "README.md").write_text(f"---\nlicense: {text}\n---\n")
    assert find_license(f"{tmp_path / 'a'}+{tmp_path / 'b'}") is None


def test_ids_on_the_hub_are_base_models() -> None:
    assert hub_ids("Salesforce/blip-itm-base-coco") == ["Salesforce/blip-itm-base-coco"]
    assert hub_ids("lab/vit+package.module:factory") == ["lab/vit"]
