"""Data sets in the layouts ``coco:``, ``flickr:`` and ``webdataset:``, and names of ``hub:``."""

from __future__ import annotations

import os

from captioned_layouts import coco, encoded, flickr, webdataset, write_shard

from bad_input import Case
from bad_input.data import broken, put

TOKENS, LIST = "Flickr8k.token.txt", "Flickr_8k.devImages.txt"
VAL = "annotations/captions_val2017.json"
IMAGE = '{"images": [{"id": 1, "file_name": "val0.png"}], "annotations": []}'
MEMBERS = [("1.png", encoded()), ("1.txt", b"one")]


def shard(members: list[tuple[str, bytes]], message: str) -> Case:
    """A sweep over one tar file."""
    return Case(
        args="sweep captioning --data webdataset:TMP/d",
        prepare=lambda tmp: write_shard(tmp / "d" / "val.tar", members),
        message=message,
    )


CASES = [
    Case(args="sweep captioning --data coco:TMP", message="TMP/annotations has no captions_train"),
    Case(
        args="sweep captioning --data coco:TMP,year=2016", message="2016.json; add the file, or c"
    ),
    Case(
        args="sweep captioning --data coco:TMP,split=val",
        message="has no option 'split=val'; choose of year=VALUE, val=SHARE",
    ),
    Case(
        args="sweep captioning --data coco:TMP/d",
        prepare=lambda tmp: coco(coco(tmp).parent, "2014"),
        message="has captions of 2014 and 2017; choose one: coco:TMP/d,year=2017",
    ),
    broken(coco, put(VAL, "[]"), "captions_val2017.json is not a file of COCO captions (TypeError"),
    broken(coco, put(VAL, "{}"), "is not a file of COCO captions (KeyError: 'images'); replace it"),
    broken(coco, put(VAL, '{"images": [], "annotations": [3]}'), "is not a file of COCO captions"),
    broken(coco, put(VAL, '{"images": [{"id": []}], "annotations": []}'), "not a file of COCO cap"),
    broken(coco, put(VAL, IMAGE), "val0.png has no caption; add one or remove the image"),
    broken(coco, put(VAL, b"\xff"), "captions_val2017.json is not UTF-8"),
    broken(coco, lambda r: (r / VAL).unlink(), "has the splits train, but got 'val'; add ,val=0.1"),
    broken(coco, lambda r: (r / "val2017/val1.png").unlink(), "image missing: TMP/d/val2017/val1"),
    broken(coco, put("train2017/train1.png", b""), "train1.png is not a readable image (it is emp"),
    Case(
        args="sweep captioning --data flickr:TMP", message="TMP has none of dataset_flickr30k.jso"
    ),
    broken(flickr, put(TOKENS, "0.jpg"), "line 1 must have an image and a caption, but is '0.jpg'"),
    broken(flickr, put(TOKENS, "\tx"), "Flickr8k.token.txt, line 1 must have an image and a capti"),
    broken(flickr, put(TOKENS, b"\xff"), "Flickr8k.token.txt is not UTF-8; save it as UTF-8"),
    broken(
        flickr, put(TOKENS, ""), "lists 0.jpg, which has no caption in TMP/d/Flickr8k.token.txt"
    ),
    broken(flickr, put(LIST, "x.jpg"), "devImages.txt lists x.jpg, which has no caption in"),
    broken(flickr, lambda r: (r / LIST).unlink(), "has the splits train, but got 'val'; add ,val="),
    broken(flickr, lambda r: (r / "Flicker8k_Dataset/3.jpg").unlink(), "image missing: TMP/d/Flic"),
    broken(flickr, put("Flicker8k_Dataset/3.jpg", "x"), "3.jpg is not a readable image; replace"),
    Case(args="sweep captioning --data webdataset:TMP", message="TMP has no .tar files; add them"),
    Case(args="sweep captioning --data webdataset:TMP/x.tar", message="shard missing: TMP/x.tar;"),
    Case(
        args="sweep captioning --data webdataset:TMP/{0..9}.tar",
        message="shard missing: TMP/0.tar; add the file, or change --data",
    ),
    Case(args="sweep captioning --data webdataset:TMP/{0..", message="has nested or open braces;"),
    Case(args="sweep captioning --data webdataset:TMP/{9..1}.tar", message="names 0 files, not 1"),
    Case(args="sweep captioning --data webdataset:TMP/x/{0..1}", message="no such folder: TMP/x"),
    broken(webdataset, put("x-val-000.tar", b""), "x-val-000.tar is not a readable tar file (empt"),
    broken(webdataset, put("x-val-000.tar", b"\x1f\x8b"), "write it again, without compression"),
    broken(
        webdataset,
        lambda r: os.truncate(r / "x-val-000.tar", 1600),
        "tar file (unexpected end of d",
    ),
    broken(
        webdataset, lambda r: (r / "x-val-000.tar").unlink(), "name the split in the names of its s"
    ),
    shard([("../1.png", encoded())], "val.tar: '../1.png' leads out of the tar file; write the"),
    shard(MEMBERS[:1], "val/1 has no caption; add one or remove the image"),
    shard(MEMBERS[1:], "val.tar: sample '1' has no image; give it one of .jpg, .jpeg, .png"),
    shard([("1.png", b"x"), MEMBERS[1]], "val.tar: 1.png is not a readable image; replace or"),
    shard([MEMBERS[0], ("1.json", b"3")], "val.tar: 1.json: captions must be a string or a li"),
    Case(args="sweep captioning --data hub:", message="folder:DIR, but got 'hub:'"),
    Case(
        args="sweep captioning --data hub:parquet", message="'parquet' is neither a folder nor US"
    ),
    Case(args="sweep captioning --data hub:TMP/none", message="no such folder: TMP/none; check"),
    Case(args="sweep captioning --data hub:a/b,rows=-1", message="rows must be an integer above 0"),
    Case(
        args="sweep captioning --data hub:a/b,caption=c",
        message="--data a/b,caption=c has no option 'caption=c'; choose of config=VALUE",
    ),
    *(
        Case(
            args="sweep captioning --data TMP/d",
            prepare=make,
            message=f"use --data {make.__name__}:TMP/d for this folder",
        )
        for make in (coco, flickr, webdataset)
    ),
]
