"""The value of ``--data hub:...``, and captions by the names of columns."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from orchestrator.doctor.driver import split_sources
from tasks.contract import DataError, Source
from tasks.datasets import registry
from tasks.datasets.caption_columns import choose_captions, to_captions
from tasks.datasets.hub_name import HubName, parse_hub_name

COMMIT = "0123456789" * 4


def test_every_part_is_parsed_and_written_again(tmp_path: Path) -> None:
    name = parse_hub_name("lab/photos@main,rows=5,streaming,captions=a,captions=b,config=en,id=i")
    assert name == HubName(
        repo="lab/photos",
        revision="main",
        config="en",
        captions=("a", "b"),
        id="i",
        rows=5,
        streaming=True,
    )
    text = "hub:lab/photos@main,config=en,captions=a,captions=b,id=i,rows=5,streaming"
    assert str(name) == text
    assert parse_hub_name(text.removeprefix("hub:")) == name
    folder = parse_hub_name(f"{tmp_path},image=x")
    assert (folder.folder, folder.repo, folder.image) == (tmp_path.resolve(), "", "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("parquet", "'parquet' is neither a folder nor USER/NAME"),
        ("a/b/c", "neither a folder"),
        ("a/b@", "or USER/NAME@REVISION; look up the id"),
        ("a/../b", "neither a folder"),
        ("/none/at/all", "no such folder: /none/at/all"),
        ("a/b,rows=0", "rows must be an integer above 0, but is '0'"),
        ("a/b,rows=x", "rows must be an integer above 0, but is 'x'"),
        ("a/b,rows=", "has no option 'rows='; choose of config=VALUE, image=VALUE, captions="),
        ("a/b,val=0.5,captions=alt", "put ,val=SHARE last; only ,seed=N may follow it"),
        ("a/b,split=x", "has no option 'split=x'"),
        ("a/b,id=x,id=y", "has the option 'id' twice; remove one of them"),
    ],
)
def test_invalid_name_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message.replace("(", r"\(")) as caught:
        parse_hub_name(text)
    assert "\n" not in str(caught.value)


def test_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "datasets" else found(name)
    )
    with pytest.raises(DataError, match=r"needs datasets, which is not installed: pip install '"):
        registry.resolve("hub:lab/photos")


def test_id_depends_on_the_content_and_not_on_the_place() -> None:
    names = ("hub:lab/photos", f"hub:lab/photos@{COMMIT},captions=text", "hub:/data/photos")
    contents = [Source(name=name, fingerprint="1").content() for name in names]
    assert contents == [{"name": "hub:", "fingerprint": "1"}] * 3


def test_doctor_checks_folders_and_no_ids(tmp_path: Path) -> None:
    for data, paths in {
        "hub:lab/photos": [],
        f"hub:{tmp_path},streaming": [str(tmp_path)],
        f"coco:{tmp_path},year=2017": [str(tmp_path)],
        f"webdataset:{tmp_path}/{{0..9}}.tar,captions=a": [str(tmp_path)],
        f"webdataset:{tmp_path}": [str(tmp_path)],
    }.items():
        assert split_sources(None, data) == (paths, [])


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["image", "Caption", "url"], ["Caption"]),
        (["caption_10", "caption_2", "url"], ["caption_2", "caption_10"]),
        (["sentences", "sentids"], ["sentences"]),
    ],
)
def test_captions_are_found_by_name(names: list[str], found: list[str]) -> None:
    assert choose_captions(names, (), "x") == found
    assert choose_captions(names, names[:1], "x") == names[:1]


def test_captions_in_two_series_of_columns_are_ambiguous() -> None:
    with pytest.raises(DataError, match="x has captions in caption_0 or caption_1 or text_1; name"):
        choose_captions(["caption_0", "caption_1", "text_1"], (), "x")


@pytest.mark.parametrize(
    ("value", "captions"),
    [
        (None, ()),
        (" a\n b ", ("a b",)),
        (["a", " ", "b"], ("a", "b")),
        ([{"raw": "a", "tokens": []}, {"raw": "b"}], ("a", "b")),
        ({"raw": ["a", "b"], "sentid": [1, 2]}, ("a", "b")),
    ],
)
def test_captions_of_each_form(value: object, captions: tuple[str, ...]) -> None:
    assert to_captions(value, "x") == captions
