"""A seeded share of train as val."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from captioned_folder import draw_folder

from orchestrator.doctor.driver import split_sources
from orchestrator.planning.discovery import load_task
from tasks.contract import DataError
from tasks.datasets import registry
from tasks.datasets.holdout import Holdout, parse_holdout


def test_split_name_parses_the_share_and_seed() -> None:
    assert parse_holdout("/a/b") == ("/a/b", None)
    assert parse_holdout("/a/b,val=0.2") == ("/a/b", Holdout(share=0.2))
    assert parse_holdout("/a,b,val=0.2,seed=3") == ("/a,b", Holdout(share=0.2, seed=3))
    for text in ("0", "1", "-0.1", "nan", "inf", "x", "", "0.1,seed=-1", "0.1,seed=1.5"):
        with pytest.raises(DataError, match="takes a share above 0 and below 1"):
            parse_holdout(f"/a,val={text}")


def test_choice_depends_only_on_ids_and_seed() -> None:
    ids = [f"{i}.jpg" for i in range(1000)]
    chosen = Holdout(share=0.1).choose(ids)
    assert len(chosen) == 100
    shuffled = random.Random(1).sample(ids, len(ids))
    assert Holdout(share=0.1).choose(shuffled) == chosen
    other = Holdout(share=0.1, seed=1).choose(ids)
    assert 0 < len(chosen & other) < 30  # about 10 by chance
    assert Holdout(share=0.2).choose(ids) > chosen
    more = Holdout(share=0.1).choose([*ids, *(f"new{i}.jpg" for i in range(50))])
    assert len(chosen - more) < 10


def test_a_known_choice_stays_the_same() -> None:
    """Results on disk depend on the choice."""
    assert sorted(Holdout(share=0.3).choose([f"{i}.jpg" for i in range(10)])) == [
        "4.jpg",
        "6.jpg",
        "9.jpg",
    ]


def test_choice_is_never_empty_and_never_everything() -> None:
    assert len(Holdout(share=0.01).choose(["a", "b", "c"])) == 1
    assert len(Holdout(share=0.99).choose(["a", "b", "c"])) == 2
    with pytest.raises(DataError, match="needs at least two training images, but got 1"):
        Holdout(share=0.5).choose(["a"])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    draw_folder(tmp_path, train=20, val=4)
    shutil.rmtree(tmp_path / "val")
    return tmp_path


def test_splits_are_disjoint_and_part_of_the_fingerprint(photos: Path) -> None:
    whole, name = f"folder:{photos}", f"folder:{photos},val=0.25"
    train, val = (registry.load_split(name, split) for split in ("train", "val"))
    every = registry.load_split(whole, "train")
    assert (len(train), len(val)) == (15, 5)
    assert {*train.image_ids, *val.image_ids} == {*every.image_ids}
    assert val.load(0).size == every.load(every.image_ids.index(val.image_ids[0])).size
    sources = [registry.resolve(each) for each in (whole, name, f"{name},seed=0", f"{name},seed=1")]
    assert len({source.fingerprint for source in sources}) == 3
    assert sources[1] == sources[2]
    assert sources[3].name == f"{name},seed=1"


def test_existing_val_split_is_not_replaced(photos: Path) -> None:
    (photos / "val").mkdir()
    shutil.copy(photos / "train" / "0.png", photos / "val")
    (photos / "val" / "captions.jsonl").write_text(
        json.dumps({"image": "0.png", "captions": ["a"]})
    )
    with pytest.raises(DataError, match=r"splits train, val; remove ,val=0\.5 from --data"):
        registry.load_split(f"folder:{photos},val=0.5", "val")


def test_doctor_checks_the_folder_without_the_share(photos: Path) -> None:
    assert split_sources(None, f"folder:{photos},val=0.1,seed=2") == ([str(photos)], [])


@pytest.mark.parametrize("task", ["retrieval", "captioning"])
def test_shipped_model_on_photos_gives_a_warning(task: str, photos: Path) -> None:
    loaded = load_task(task)
    model, data = loaded.resolve(loaded.default_model, f"folder:{photos},val=0.1")
    (line,) = loaded.warnings(model, data)
    assert "was pretrained only on drawn scenes" in line
    assert "--model" in line
    _, scenes = loaded.resolve(loaded.default_model, loaded.default_data)
    assert not loaded.warnings(model, scenes)
