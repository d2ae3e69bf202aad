"""``webdataset:``: samples of tar files, which are read in place."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from captioned_layouts import encoded, webdataset, write_shard

from tasks.contract import DataError
from tasks.datasets import registry
from tasks.datasets import webdataset as module
from tasks.datasets.shard_pattern import expand
from tasks.datasets.shards import list_members
from tasks.datasets.webdataset import split_of


def test_shards_are_read_in_order_and_split_by_their_names(tmp_path: Path) -> None:
    root = webdataset(tmp_path)
    before = sorted(root.iterdir())
    name = registry.resolve(f"webdataset:{root}").name
    train, val = (registry.load_split(name, split) for split in ("train", "val"))
    assert train.image_ids == tuple(f"x-train-{s:03}/{n:04}" for s in range(2) for n in range(2))
    assert train.captions[3] == ("shard 1 image 1", "again")
    assert (val.image_ids, val.captions) == (
        ("x-val-000/a/0", "x-val-000/a/1"),
        (("val 0",), ("val 1",)),
    )
    assert {train.load(index).size for index in range(4)} == {(16, 12)}
    assert registry.load_image(name, "val", "x-val-000/a/1").mode == "RGB"
    assert sorted(root.iterdir()) == before  # nothing is extracted


def test_members_are_those_of_tarfile(tmp_path: Path) -> None:
    long = "a" * 150 + "/" + "b" * 150  # needs a header of its own
    file = write_shard(tmp_path / "x.tar", [("1.jpg", b"123"), (f"{long}.txt", b"4" * 1000)])
    with tarfile.open(file) as archive:
        expected = [(i.name, archive.extractfile(i).read()) for i in archive]  # type: ignore[union-attr]
    assert [(member.name, member.read()) for member in list_members(file)] == expected


def test_pattern_names_the_same_data_as_its_folder(tmp_path: Path) -> None:
    root = webdataset(tmp_path)
    pattern = f"webdataset:{root}/x-{{train-000,train-001,val-000}}.tar"
    assert (
        registry.resolve(pattern).fingerprint == registry.resolve(f"webdataset:{root}").fingerprint
    )
    part = registry.load_split(f"webdataset:{root}/x-train-{{001..001}}.tar", "train")
    assert part.image_ids == ("x-train-001/0000", "x-train-001/0001")


def test_order_and_split_of_a_pattern_are_those_of_its_folder(tmp_path: Path) -> None:
    root = tmp_path / "val"
    for name in ("a/0", "a-0", "a0"):
        write_shard(root / f"{name}.tar", [IMAGE, ("1.txt", b"a")])
    for end in ("", "/{a0,a/0,a-0}.tar"):
        val = registry.load_split(f"webdataset:{root}{end}", "val")
        assert val.image_ids == ("a-0/1", "a/0/1", "a0/1")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("{8..10}-{a,b}", ["8-a", "8-b", "9-a", "9-b", "10-a", "10-b"]),
        ("{008..010}", ["008", "009", "010"]),
        ("{x}", ["x"]),
    ],
)
def test_braces_expand_as_in_the_shell(pattern: str, names: list[str]) -> None:
    assert expand(pattern) == names


@pytest.mark.parametrize(
    "pattern", ["{1..9999999}", "{1..999}{1..999}", "{2..1}", "{a", "a}", "{{a}}"]
)
def test_invalid_braces_are_refused(pattern: str) -> None:
    with pytest.raises(DataError, match=r"names [\d,]+ files|nested or open"):
        expand(pattern)


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("000.tar", "train"),
        ("train/000.tar", "train"),
        ("Validation/000.tar", "val"),
        ("cc3m-test-0001.tar", "test"),
        ("trainer_dev.000.tar", "val"),
        ("testing.tar", "train"),
        ("coco-val2017-0.tar", "val"),
        ("val00.tar", "val"),
        ("eval/0.tar", "test"),
    ],
)
def test_split_is_a_word_of_the_path(path: str, split: str) -> None:
    assert split_of(Path(path)) == split


def test_fingerprint_depends_on_content_alone(tmp_path: Path) -> None:
    roots = [webdataset(tmp_path / name) for name in "ab"]
    first, second = (registry.resolve(f"webdataset:{root}").content() for root in roots)
    assert first == second
    write_shard(roots[1] / "x-val-000.tar", [("1.png", encoded()), ("1.txt", b"other")])
    assert registry.resolve(f"webdataset:{roots[1]}").content() != first


def header(name: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


Members = list[tuple[str | tarfile.TarInfo, bytes]]
IMAGE = ("1.png", encoded())
DEVICE = header("1.png", type=tarfile.CHRTYPE)
REFUSED: list[tuple[Members, str]] = [
    ([("../1.png", encoded())], "'../1.png' leads out of the tar file"),
    ([("/etc/1.png", encoded())], "leads out of the tar file; write the file again with rel"),
    ([(header("1.png", type=tarfile.SYMTYPE, linkname="/etc/passwd"), b"")], "is a link, a dev"),
    ([(header("1.png", type=tarfile.LNKTYPE, linkname="2.png"), b"")], "is a link, a device"),
    ([(DEVICE, b"")], "is a link, a device or sparse"),
    ([("b\udcff.png", b"")], r"x.tar: 'b\\udcff.png' is not UTF-8; write the file again with"),
    ([IMAGE], "x/1 has no caption; add one or remove the image"),
    ([IMAGE, ("1.txt", b" \n")], "x/1 has no caption"),
    ([IMAGE, ("1.txt", b"\xff\xfe")], "x.tar: 1.txt is not valid UTF-8"),
    ([IMAGE, ("1.json", b"{")], "x.tar: 1.json is not valid JSON"),
    ([IMAGE, ("1.json", b"[" * 100_000)], "x.tar: 1.json is not valid JSON"),
    ([IMAGE, ("1.json", b'{"caption": 3}')], "a string or a list of strings, but got 3"),
    ([IMAGE, ("1.json", b'{"a": "x"}')], "no captions among a; name the column: add ,captions="),
    ([IMAGE, ("1.json", b'{"text": "x", "caption": "y"}')], "has captions in text or caption"),
    ([("1.txt", b"a")], "sample '1' has no image; give it one of .jpg, .jpeg"),
    ([IMAGE, ("1.jpg", encoded()), ("1.txt", b"a")], "sample '1' has several images"),
    ([IMAGE, IMAGE, ("1.txt", b"a")], "1.png is in the file twice"),
    ([("1.png", b""), ("1.txt", b"a")], r"x.tar: 1.png is not a readable image \(it is empty\)"),
    ([("1.png", encoded()[:20]), ("1.txt", b"a")], "x.tar: 1.png is not a readable image"),
    ([("readme.md", b"a")], "has no samples; add an image and its captions"),
]


@pytest.mark.parametrize(("members", "message"), REFUSED)
def test_invalid_sample_is_refused(members: Members, message: str, tmp_path: Path) -> None:
    write_shard(tmp_path / "x.tar", members)
    with pytest.raises(DataError, match=message) as caught:
        registry.resolve(f"webdataset:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_huge_members_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.MAX_BYTES, "txt", 10)
    write_shard(tmp_path / "x.tar", [IMAGE, ("1.txt", b"a" * 11)])
    with pytest.raises(DataError, match=r"1\.txt has 11 bytes, more than 10; make it smaller"):
        registry.resolve(f"webdataset:{tmp_path}")


def cut(file: Path, size: int) -> None:
    os.truncate(file, size)


def overwrite(file: Path) -> None:
    """Damage the header of the second member, where ``tarfile`` stops without an error."""
    with file.open("r+b") as stream:
        stream.seek(1024)
        stream.write(b"x" * 100)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: cut(file, 0), "is not a readable tar file"),
        (lambda file: cut(file, 700), "truncated|is not a readable tar"),
        (overwrite, "is damaged at byte 1024"),
        (lambda file: file.write_bytes(b"\x1f\x8b" + b"\0" * 2000), "is not a readable tar file"),
        (lambda file: (file.unlink(), file.mkdir()), "cannot be read: Is a directory"),
        (lambda file: file.unlink(), "has no .tar files; add them"),
    ],
)
def test_damaged_shard_is_named(
    damage: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    file = write_shard(tmp_path / "x.tar", [("1.txt", b"a" * 400), IMAGE])
    damage(file)
    with pytest.raises(DataError, match=message) as caught:
        registry.resolve(f"webdataset:{tmp_path}")
    assert str(tmp_path) in str(caught.value)


def test_missing_shard_of_a_pattern_is_named(tmp_path: Path) -> None:
    root = webdataset(tmp_path)
    with pytest.raises(DataError, match=r"shard missing: .*x-train-002\.tar; add the file"):
        registry.resolve(f"webdataset:{root}/x-train-{{000..002}}.tar")


def test_captions_of_another_key(tmp_path: Path) -> None:
    content = {"caption": "alt text", "sentences": [{"raw": "one"}, {"raw": "two"}]}
    members = [IMAGE, ("1.txt", b"alt text"), ("1.json", json.dumps(content).encode())]
    write_shard(tmp_path / "x.tar", members)
    source = registry.resolve(f"webdataset:{tmp_path},captions=sentences")
    assert source.name.endswith(",captions=sentences")
    assert registry.load_split(source.name, "train").captions == (("one", "two"),)
    assert registry.load_split(f"webdataset:{tmp_path}", "train").captions == (("alt text",),)


def test_captions_of_other_keys_are_other_data(tmp_path: Path) -> None:
    content = json.dumps({"title": "a", "alt": "b"}).encode()
    write_shard(
        tmp_path / "x.tar", [IMAGE, ("1.json", content), ("1.txt", "c\u2028d\r\ne".encode())]
    )
    options = ("", ",captions=title", ",captions=alt", ",captions=title,captions=alt")
    found = [registry.resolve(f"webdataset:{tmp_path}{each}").content() for each in options]
    assert len({each["fingerprint"] for each in found}) == len(options)
    assert registry.load_split(f"webdataset:{tmp_path}", "train").captions == (("c d", "e"),)
