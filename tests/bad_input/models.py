"""Models: missing, incomplete, truncated, damaged, pickled, or of another architecture."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

from paths import ROOT

from bad_input import Case, write

SHIPPED = ROOT / "tasks" / "assets" / "blip-scenes"
Break = Callable[[Path], object]


def copied(tmp: Path) -> Path:
    """A copy of the shipped model."""
    shutil.copytree(SHIPPED, tmp / "m")
    return tmp / "m"


def broken(damage: Break, message: str, task: str = "retrieval", more: str = "") -> Case:
    """A sweep with a copy of the shipped model after ``damage``."""
    args = f"sweep {task} --model TMP/m {more}".strip()
    return Case(args=args, message=message, prepare=lambda tmp: damage(copied(tmp)))


def put(name: str, content: str | bytes) -> Break:
    return write(name, content)


def change(**values: object) -> Break:
    """Other values in ``config.json``."""

    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text()) | values
        (folder / "config.json").write_text(json.dumps(config))

    return damage


def remove(*names: str) -> Break:
    return lambda folder: [(folder / name).unlink() for name in names]


def keep(*parts: str) -> Break:
    """Keep only weights whose names start with these."""

    def damage(folder: Path) -> None:
        file = folder / "model.safetensors"
        blob = file.read_bytes()
        (length,) = struct.unpack("<Q", blob[:8])
        header = json.loads(blob[8 : 8 + length])
        kept = json.dumps({k: v for k, v in header.items() if k.startswith(parts)}).encode()
        file.write_bytes(struct.pack("<Q", len(kept)) + kept + blob[8 + length :])

    return damage


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def in_parts(folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def cut(name: str, size: int) -> Break:
    return lambda folder: os.truncate(folder / name, size)


HEADER = json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}).encode()
WEIGHTS = "model.safetensors"
PAIR = "--set start=random"

CASES = [
    Case(args="sweep retrieval --model TMP/none", message="no such model folder: TMP/none; check"),
    Case(args="sweep retrieval --model ./none", message="no such model folder: ./none"),
    Case(args="sweep retrieval --model none", message="neither 'blip-scenes', nor a folder, nor"),
    Case(args="sweep retrieval --model 'no/such model'", message="or download it first"),
    Case(args="sweep retrieval --model ~nobody9/m", message="no model '~nobody9/m': "),
    Case(args="sweep captioning --model none", message="nor a Hugging Face id that can be downloa"),
    Case(
        args="sweep retrieval --model TMP/f",
        prepare=write("f", "x"),
        message="TMP/f is a file; --model takes the folder that contains it",
    ),
    Case(
        args="sweep retrieval --model TMP",
        message="TMP is not a model folder: it has no config.json; save a model with",
    ),
    # Weights.
    broken(remove(WEIGHTS), "m has no weights: model.safetensors is missing; save it with"),
    broken(pickled, "only pickled weights, which can run code when they are loaded; save them as"),
    broken(pickled, "save them as safetensors: model.save_pretrained(folder)", "captioning"),
    broken(put(WEIGHTS, b""), "model.safetensors is damaged: it has no safetensors header"),
    broken(put(WEIGHTS, b"\x80\x04}q\x00."), "is damaged: it has no safetensors header"),
    broken(put(WEIGHTS, b"\xff" * 64), "is damaged: it has no safetensors header; copy it again"),
    broken(put(WEIGHTS, struct.pack("<Q", 2**40)), "is damaged: it has no safetensors header"),
    broken(put(WEIGHTS, struct.pack("<Q", 2) + b"[]"), "is damaged: it has no safetensors header"),
    broken(put(WEIGHTS, struct.pack("<Q", 8) + b'{"a": 3}'), "it has no safetensors header"),
    broken(
        put(WEIGHTS, struct.pack("<Q", len(HEADER)) + HEADER + b"\0" * 20),
        "model.safetensors is truncated: 90 of",
    ),
    broken(cut(WEIGHTS, 100_000), "model.safetensors is truncated: 100,000 of"),
    broken(cut(WEIGHTS, 3_000_000), "copy it again", "captioning"),
    broken(in_parts, "m lacks model-2.safetensors, a part of its weights; add the file"),
    broken(put("model.safetensors.index.json", "{}"), "has no 'weight_map'; copy it from"),
    broken(keep("text_decoder."), "m has no weights for its vision_model: it was saved for"),
    broken(keep("vision_model."), "has no weights for its text_encoder: it was saved for another"),
    broken(keep("vision_model.", "text_encoder."), "(vision_proj, text_proj missing); add --set"),
    broken(keep("vision_model."), "m has no weights for a text decoder: it was", "captioning"),
    # Other files of the model.
    broken(put("config.json", "{"), "config.json is not valid JSON: "),
    broken(put("config.json", ""), "config.json is not valid JSON: Expecting value"),
    broken(put("config.json", b"\xff"), "copy it from the original model"),
    broken(put("config.json", "[" * 100_000), "config.json is not valid JSON: maximum recursion"),
    broken(put("config.json", "[]"), "config.json is not a JSON object; copy it from"),
    broken(put("config.json", "{}"), "is a None model; image-text retrieval takes blip, clip"),
    broken(change(model_type="vit"), "is a 'vit' model; image-text retrieval takes"),
    broken(change(model_type=["blip"]), "is a ['blip'] model; image-text retrieval takes"),
    broken(
        change(model_type="clip"),
        "m is a 'clip' model; captioning takes an image-to-text",
        "captioning",
    ),
    broken(remove("tokenizer.json"), "m has no tokenizer (tokenizer.json or vocab.txt); copy it"),
    broken(remove("tokenizer.json"), "or save it with tokenizer.save_pretrained", "captioning"),
    broken(put("tokenizer.json", "{"), "tokenizer.json is not valid JSON"),
    broken(cut("tokenizer.json", 2000), "tokenizer.json is not valid JSON"),
    broken(put("tokenizer_config.json", "3"), "tokenizer_config.json is not a JSON object"),
    broken(remove("processor_config.json"), "no image processor (preprocessor_config.json or"),
    broken(put("processor_config.json", "["), "processor_config.json is not valid JSON"),
    # Pairs.
    Case(args="sweep retrieval --model a+b+c", message="is written IMAGE+TEXT, but got 'a+b+c'"),
    Case(args="sweep retrieval --model +b", message="is written IMAGE+TEXT, but got '+b'"),
    Case(args=f"sweep retrieval --model no.such:f+b {PAIR}", message="'no.such:f' cannot be impor"),
    Case(args=f"sweep retrieval --model json:f+b {PAIR}", message="json has no 'f'; check the n"),
    Case(args=f"sweep retrieval --model json:__doc__+b {PAIR}", message="must be a function, but"),
    broken(
        lambda f: None,
        "has no pretrained heads; add --set start=random",
        more="--model TMP/m+TMP/m",
    ),
    broken(change(model_type=None), "has no 'model_type'", more=f"--model TMP/m+TMP/m {PAIR}"),
    broken(remove("tokenizer.json"), "has no tokenizer", more=f"--model TMP/m+TMP/m {PAIR}"),
    broken(remove(WEIGHTS), "m has no weights: ", more=f"--model TMP/m+TMP/m {PAIR}"),
    Case(args="sweep captioning --model a+b", message="nor a Hugging Face id"),
]
