"""``hub:``: data sets as ``datasets`` stores them on this machine, without a connection."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from captioned_layouts import encoded, hub, hub_rows, hub_table, write_image

from tasks.contract import DataError
from tasks.datasets import registry

datasets = pytest.importorskip("datasets", reason="datasets is not installed")

COMMITS = ("ab" * 20, "cd" * 20)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of ``datasets``, and no connection."""
    from huggingface_hub import constants

    folder = tmp_path / "cache"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


def prepare(cache: Path, commit: str, root: Path, config: str = "default") -> Path:
    """Make the files that loading ``lab/d`` at a commit leaves in the cache."""
    datasets.load_dataset(str(root))
    (made,) = cache.glob(f"{root.name}/*/*/*/dataset_info.json")
    return Path(shutil.move(made.parent, cache / "lab___d" / config / "0.0.0" / commit))


def test_folder_of_parquet_files(tmp_path: Path) -> None:
    source = registry.resolve(f"hub:{hub(tmp_path)}")
    val = registry.load_split(source.name, "val")
    assert val.image_ids == ("validation/0", "validation/1")
    assert val.captions == (("image 100", "again 100"), ("image 101", "again 101"))
    image = registry.load_image(source.name, "train", "train/1")
    assert (image.mode, image.getpixel((0, 0))) == ("RGB", (1, 0, 0))


def test_content_counts_and_not_where_it_is(tmp_path: Path, cache: Path) -> None:
    """In a folder, in another one, saved by save_to_disk, and in the cache of an id."""
    root = hub(tmp_path)
    first = registry.resolve(f"hub:{root}")
    moved = shutil.copytree(root, tmp_path / "moved")
    splits = {"train": hub_table(hub_rows(2)), "validation": hub_table(hub_rows(2, 100))}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    prepare(cache, COMMITS[0], root)
    names = (f"hub:{moved}", f"hub:{tmp_path}/saved", "hub:lab/d", f"hub:lab/d@{COMMITS[0]}")
    found = [registry.resolve(name) for name in names]
    assert [source.content() for source in found] == [first.content()] * 4
    assert [source.name for source in found[2:]] == [f"hub:lab/d@{COMMITS[0]}"] * 2
    other = hub(tmp_path / "other", train=hub_rows(3), validation=hub_rows(2, 100))
    assert registry.resolve(f"hub:{other}").fingerprint != first.fingerprint


def test_each_commit_in_the_cache_is_read_by_its_name(tmp_path: Path, cache: Path) -> None:
    for number, commit in enumerate(COMMITS, 1):
        root = hub(tmp_path / str(number), train=hub_rows(number))
        prepare(cache, commit, root)
    for number, commit in enumerate(COMMITS, 1):
        assert len(registry.load_split(f"hub:lab/d@{commit}", "train")) == number
    with pytest.raises(DataError, match="is not in the cache of datasets, and HF_HUB_OFFLINE"):
        registry.resolve(f"hub:lab/d@{'ef' * 20}")


def test_configurations_in_the_cache_are_named(tmp_path: Path, cache: Path) -> None:
    for number, config in enumerate(("en", "de"), 1):
        prepare(cache, COMMITS[0], hub(tmp_path / config, train=hub_rows(number)), config)
    with pytest.raises(DataError, match="has the configurations de, en; choose one: ,config=NAME"):
        registry.resolve("hub:lab/d")
    source = registry.resolve("hub:lab/d,config=de")
    assert source.name == f"hub:lab/d@{COMMITS[0]},config=de"
    assert len(registry.load_split(source.name, "train")) == 2


def test_incomplete_cache_is_refused(tmp_path: Path, cache: Path) -> None:
    made = prepare(cache, COMMITS[0], hub(tmp_path))
    shutil.copy(made / "d-validation.arrow", made / "d-train-00000-of-00002.arrow")
    with pytest.raises(DataError, match="has 4 rows of the split train, but should have 2; delete"):
        registry.resolve("hub:lab/d")


def test_stream_returns_what_the_files_have(tmp_path: Path, cache: Path) -> None:
    root = hub(tmp_path, train=hub_rows(9), validation=hub_rows(4))
    stored = registry.load_split(f"hub:{root}", "train")
    shutil.rmtree(cache)
    source = registry.resolve(f"hub:{root},streaming")
    streamed = registry.load_split(source.name, "train")
    assert not [file for file in cache.rglob("*") if file.suffix != ".lock"]  # nothing is stored
    assert (streamed.image_ids, streamed.captions) == (stored.image_ids, stored.captions)
    for index in (0, 1, 2, 7, 8, 3, 3, 0):
        assert streamed.load(index).tobytes() == stored.load(index).tobytes()
    fewer = registry.resolve(f"hub:{root},rows=3,streaming")
    assert len(registry.load_split(fewer.name, "train")) == 3
    assert fewer.fingerprint != source.fingerprint
    hub(tmp_path, train=hub_rows(8))
    assert registry.resolve(f"hub:{root},streaming").fingerprint != source.fingerprint


def test_stream_of_captions_does_not_read_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets.packaged_modules.parquet.parquet import Parquet

    read: list[list[str]] = []
    generate = Parquet._generate_tables

    def spy(self: Any, *args: Any, **kwargs: Any) -> Any:
        for key, table in generate(self, *args, **kwargs):
            read.append(table.column_names)
            yield key, table

    monkeypatch.setattr(Parquet, "_generate_tables", spy)
    train = registry.load_split(f"hub:{hub(tmp_path)},streaming", "train")
    assert read == [["caption"]]
    assert train.load(1).getpixel((0, 0)) == (1, 0, 0)


def test_rows_of_one_id_are_one_image(tmp_path: Path) -> None:
    rows = hub_rows(4, image_id=[7, 7, 8, 8], caption=["a", "b", "c", "c"])
    rows["image"] = [rows["image"][n] for n in (0, 0, 1, 1)]
    source = registry.resolve(f"hub:{hub(tmp_path, train=rows)}")
    train = registry.load_split(source.name, "train")
    assert (train.image_ids, train.captions) == (("7", "8"), (("a", "b"), ("c",)))
    assert train.load(1).getpixel((0, 0)) == (1, 0, 0)


@pytest.mark.parametrize("column", [True, False])
def test_ids_that_restart_in_each_part_are_other_images(column: bool, tmp_path: Path) -> None:
    """As train and restval, which are both train."""
    rows = hub_rows(4, id=[0, 1, 0, 2], split=["train"] * 2 + ["restval"] * 2)
    if column:
        root = hub(tmp_path, test=rows)
    else:
        parts = {"train": hub_rows(2, id=[0, 1]), "restval": hub_rows(2, 2, id=[0, 2])}
        root = hub(tmp_path / "d", 2, **parts).rename(tmp_path / "d" / "data").parent
    for options in ("", ",streaming"):
        source = registry.resolve(f"hub:{root}{options}")
        train = registry.load_split(source.name, "train")
        above = "test/" if column else ""
        assert sorted(train.image_ids) == ["1", "2", f"{above}restval/0", f"{above}train/0"]
        for index, captions in enumerate(train.captions):
            red = train.load(index).getpixel((0, 0))[0]  # type: ignore[index]
            assert captions == (f"image {red}", f"again {red}")


def test_stream_joins_rows_only_by_a_given_column(tmp_path: Path) -> None:
    rows = hub_rows(3, image_id=[7, 7, 8])
    name = f"hub:{hub(tmp_path, train=rows)},streaming"
    with pytest.raises(DataError, match=r"row 1 of train has the image_id '7' of row 0; if they "):
        registry.load_split(name, "train")
    name = name.replace(",streaming", ",id=image_id,streaming")
    assert registry.load_split(name, "train").image_ids == ("7", "8")


@pytest.mark.parametrize("more", [{}, {"split": ["test"] * 2}])
def test_split_without_captions_does_not_count(more: dict[str, Any], tmp_path: Path) -> None:
    """As the test sets of benchmarks, whose captions are hidden."""
    train = hub_rows(2, 0, **{column: ["train"] * 2 for column in more})
    hidden = hub_rows(2, **more) | {"caption": [[], [" "]]}
    with_test = registry.resolve(f"hub:{hub(tmp_path, train=train, test=hidden)}")
    with pytest.raises(DataError, match="the splits train, but got 'test'; use a data set that"):
        registry.load_split(with_test.name, "test")
    (tmp_path / "d" / "test-00000-of-00001.parquet").unlink()
    assert registry.resolve(f"hub:{tmp_path}/d").content() == with_test.content()


def test_column_of_splits_counts(tmp_path: Path) -> None:
    """As in the Flickr30k of the Hub, which has all rows in its split ``test``."""
    rows = hub_rows(3, split=["train", "restval", "val"], img_id=["a", "b", "c"])
    name = f"hub:{hub(tmp_path, test=rows)}"
    assert registry.load_split(name, "train").image_ids == ("a", "b")
    assert registry.load_split(name, "val").load(0).getpixel((0, 0)) == (2, 0, 0)
    with pytest.raises(DataError, match="has the splits train, val, but got 'test'"):
        registry.load_split(name, "test")


def test_share_of_train_is_held_out(tmp_path: Path) -> None:
    source = registry.resolve(f"hub:{hub(tmp_path, train=hub_rows(4))},val=0.25")
    assert source.name.endswith("/d,val=0.25")
    assert [len(registry.load_split(source.name, split)) for split in ("train", "val")] == [3, 1]


def test_folder_of_images(tmp_path: Path) -> None:
    """Rows name files; a change of one changes the fingerprint."""
    for n in range(2):
        write_image(tmp_path / "d" / "train" / f"{n}.png", n)
    lines = [json.dumps({"file_name": f"{n}.png", "text": f"image {n}"}) for n in range(2)]
    (tmp_path / "d" / "train" / "metadata.jsonl").write_text("\n".join(lines))
    found = set()
    for name in (f"hub:{tmp_path}/d", f"hub:{tmp_path}/d,streaming"):
        found.add(registry.resolve(name).fingerprint)
        train = registry.load_split(name, "train")
        assert train.captions == (("image 0",), ("image 1",))
        assert train.load(1).getpixel((0, 0)) == (1, 0, 0)
    write_image(tmp_path / "d" / "train" / "1.png", 9)
    found |= {
        registry.resolve(f"hub:{tmp_path}/d{more}").fingerprint for more in ("", ",streaming")
    }
    assert len(found) == 4


def outside(rows: dict[str, list[Any]]) -> None:
    rows["image"][1] = {"bytes": None, "path": "/etc/hostname"}


def replaced(column: str, *values: Any) -> Callable[[dict[str, list[Any]]], None]:
    return lambda rows: rows.update({column: list(values)})


INVALID: list[tuple[Callable[[dict[str, list[Any]]], Any], str, str]] = [
    (outside, "", r"row 1 of train names a file outside of the data set, '/etc/hostname'"),
    (lambda r: r["image"].__setitem__(1, None), "", "row 1 of train has no image; remove the row"),
    (
        lambda r: r["image"].__setitem__(1, {"bytes": encoded()[:20], "path": None}),
        "",
        "row 1 of train is not a readable image",
    ),
    (replaced("caption", "a", None), "", "train/1 has no caption; add one or remove"),
    (replaced("caption", 1, 2), "", "has no captions among ; name the column: add ,captions="),
    (replaced("text", "a", "b"), "", "has captions in caption or text; name the column"),
    (lambda r: None, ",captions=x", "has no column 'x'; choose captions= of caption"),
    (lambda r: None, ",image=x", "has no column 'x'; choose image= of image, caption"),
    (lambda r: None, ",image=caption", "the column 'caption' has no images; change image="),
    (replaced("image_id", "a", "a"), "", "has the id 'a' of row 0 but another image; name a col"),
    (
        lambda r: r["image"].__setitem__(1, r["image"][0]),
        "",
        "row 1 of train has the image of row 0 of train; if images repeat, name the column of ids",
    ),
    (replaced("caption", "", " "), "", "has no captions; name their column with ,captions="),
    (replaced("image_id", "a", None), "", "row 1 of train has no id; fix it"),
]


@pytest.mark.parametrize(("damage", "options", "message"), INVALID)
def test_invalid_rows_are_one_clear_line(
    damage: Callable[[dict[str, list[Any]]], Any], options: str, message: str, tmp_path: Path
) -> None:
    rows = hub_rows(2)
    damage(rows)
    with pytest.raises(DataError, match=message) as caught:
        registry.resolve(f"hub:{hub(tmp_path, train=rows)}{options}")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "d") in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "cannot be loaded"),
        (
            lambda root: (root / "d.py").write_text("1 / 0"),
            "cannot be loaded .*no longer supported",
        ),
        (lambda root: (root / "train.parquet").write_bytes(b"PAR1"), "cannot be loaded"),
        (lambda root: (root / "train.txt").write_text("a"), "has no column of images; name it"),
    ],
)
def test_folder_that_is_no_data_set_is_one_clear_line(
    make: Callable[[Path], Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / "d").mkdir()
    make(tmp_path / "d")
    with pytest.raises(DataError, match=message) as caught:
        registry.resolve(f"hub:{tmp_path}/d")
    assert "\n" not in str(caught.value)


def test_package_is_imported_only_for_hub_data() -> None:
    code = (
        "import sys; from tasks.datasets import registry; registry.load_split('scenes', 'val'); "
        "print('datasets' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
