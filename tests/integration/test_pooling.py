"""The encoders of ``IMAGE+TEXT`` give the pooled features of their models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tiny_models import CAPTIONS, IMAGES, save_tiny

from tasks.contract import ModelError
from tasks.models import families
from tasks.models.dual import load_dual_encoder

Features = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("encoders")

    def get(kind: str) -> Path:
        folder = root / kind
        return folder if folder.is_dir() else save_tiny(kind, folder)

    return get


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    load_dual_encoder.cache_clear()


def encode(image: object, text: object) -> tuple[Features, Features]:
    """Features as a sweep computes them: resolved, loaded and encoded."""
    source = families.resolve(f"{image}+{text}")
    dual = load_dual_encoder(source.name, source.fingerprint, "cpu", "float32")
    return dual.image.encode(IMAGES), dual.text.encode(CAPTIONS)


def pixels_of(folder: Path) -> Any:
    return transformers.AutoImageProcessor.from_pretrained(folder)(IMAGES, return_tensors="pt")


def tokens_of(folder: Path, **options: Any) -> dict[str, torch.Tensor]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    found = tokenizer(CAPTIONS, return_tensors="pt", **({"padding": True} | options))
    return {key: found[key] for key in ("input_ids", "attention_mask")}


def close(found: Features, expected: torch.Tensor) -> None:
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("kind", "loader"),
    [
        ("clip", "CLIPVisionModel"),
        ("siglip", "SiglipVisionModel"),
        ("vit", "ViTModel"),
        ("dinov2", "Dinov2WithRegistersModel"),
        ("resnet", "ResNetModel"),
    ],
)
def test_image_features_match_the_pooled_output(
    tiny: Callable[[str], Path], kind: str, loader: str
) -> None:
    model = getattr(transformers, loader).from_pretrained(tiny(kind)).eval()
    out = model(**pixels_of(tiny(kind)))
    image, _ = encode(tiny(kind), tiny("bert"))
    close(image, out.pooler_output.flatten(1))
    if out.last_hidden_state.ndim == 3:  # the mean of the tokens differs, so the test can fail
        assert np.abs(image - out.last_hidden_state.mean(1).numpy()).max() > 1e-3


@torch.inference_mode()
def test_vit_without_a_pooler_uses_its_cls_token(tiny: Callable[[str], Path]) -> None:
    folder = tiny("vit-classifier")
    model = transformers.ViTForImageClassification.from_pretrained(folder).eval()
    out = model.vit(**pixels_of(folder)).last_hidden_state
    image, _ = encode(folder, tiny("bert"))
    close(image, out[:, 0])


@torch.inference_mode()
def test_vision_model_saved_alone_matches_its_pair(
    tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    for kind, loader in (("clip", "CLIPVisionModel"), ("clip", "CLIPTextModel")):
        folder = tmp_path / loader
        shutil.copytree(tiny(kind), folder)
        getattr(transformers, loader).from_pretrained(tiny(kind)).save_pretrained(folder)
    whole = encode(tiny("clip"), tiny("clip"))
    alone = encode(tmp_path / "CLIPVisionModel", tmp_path / "CLIPTextModel")
    for one, other in zip(whole, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("kind", "loader"), [("clip", "CLIPTextModel"), ("siglip", "SiglipTextModel")]
)
def test_text_features_match_the_pooled_output(
    tiny: Callable[[str], Path], kind: str, loader: str
) -> None:
    model = getattr(transformers, loader).from_pretrained(tiny(kind)).eval()
    if kind == "siglip":
        padded = tokens_of(tiny(kind), padding="max_length", max_length=16)
        out = model(input_ids=padded["input_ids"])
    else:
        out = model(**tokens_of(tiny(kind)))
    _, text = encode(tiny("vit"), tiny(kind))
    close(text, out.pooler_output)
    assert np.abs(text - out.last_hidden_state.mean(1).numpy()).max() > 1e-3


@torch.inference_mode()
def test_blip_features_are_the_input_of_its_heads(tiny: Callable[[str], Path]) -> None:
    model = transformers.BlipForImageTextRetrieval.from_pretrained(tiny("blip")).eval()
    image, text = encode(tiny("blip"), tiny("blip"))
    close(image, model.vision_model(**pixels_of(tiny("blip"))).last_hidden_state[:, 0])
    close(text, model.text_encoder(**tokens_of(tiny("blip"))).last_hidden_state[:, 0])


def save_sentence_encoder(folder: Path, pooling: dict[str, Any]) -> Path:
    """A BERT in the layout of sentence-transformers, ``modules.json`` a list as it is there."""
    save_tiny("bert", folder)
    package = "sentence_transformers.models"
    files = {
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": f"{package}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{package}.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{package}.Normalize"},
        ],
        "sentence_bert_config.json": {"max_seq_length": 16, "do_lower_case": False},
        "config_sentence_transformers.json": {"__version__": {"sentence_transformers": "2.0.0"}},
        "1_Pooling/config.json": {"word_embedding_dimension": 32} | pooling,
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    return folder


MODES = ("cls_token", "max_tokens", "mean_tokens")


@torch.inference_mode()
@pytest.mark.parametrize("mode", MODES)
def test_sentence_encoder_uses_its_pooling_config(
    tiny: Callable[[str], Path], tmp_path: Path, mode: str
) -> None:
    flags = {f"pooling_mode_{each}": each == mode for each in MODES}
    folder = save_sentence_encoder(tmp_path / "sentences", flags)
    bert = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    # One caption at a time has no padding, so a plain mean or maximum is right.
    states = [bert(**tokenizer(c, return_tensors="pt")).last_hidden_state[0] for c in CAPTIONS]
    oracle = {
        "mean_tokens": torch.stack([s.mean(0) for s in states]),
        "max_tokens": torch.stack([s.amax(0) for s in states]),
        "cls_token": torch.stack([s[0] for s in states]),
    }
    _, text = encode(tiny("vit"), folder)
    close(text, oracle[mode])
    newer = {"pooling_mode": mode.partition("_")[0]}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(newer))
    _, text = encode(tiny("vit"), folder)
    close(text, oracle[mode])


def test_plain_bert_uses_the_mean_of_its_tokens(
    tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    flags = {f"pooling_mode_{each}": each == "mean_tokens" for each in MODES}
    pooled = encode(tiny("vit"), save_sentence_encoder(tmp_path / "sentences", flags))
    plain = encode(tiny("vit"), tiny("bert"))
    np.testing.assert_array_equal(pooled[1], plain[1])


@pytest.mark.parametrize(
    ("pooling", "message"),
    [
        ({"pooling_mode_lasttoken": True}, "pooling_mode_lasttoken; one of cls, max, mean"),
        (
            {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
            "cls_token, pooling_mode_mean_tokens; one of cls, max, mean",
        ),
        ({"pooling_mode": "lasttoken"}, "lasttoken; one of cls, max, mean"),
    ],
)
def test_unsupported_pooling_is_refused(
    tiny: Callable[[str], Path], tmp_path: Path, pooling: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        encode(tiny("vit"), save_sentence_encoder(tmp_path / "sentences", pooling))


def test_pooling_is_part_of_the_fingerprint(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    prints = set()
    for mode in MODES:
        folder = save_sentence_encoder(tmp_path / mode, {f"pooling_mode_{mode}": True})
        prints.add(families.resolve(f"{tiny('vit')}+{folder}").fingerprint)
    assert len(prints) == len(MODES)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("1_Pooling/config.json", "[]", "1_Pooling/config.json is not a JSON object"),
        ("1_Pooling/config.json", "{", "1_Pooling/config.json is not valid JSON"),
        ("config.json", "[]", "config.json is not a JSON object"),
    ],
)
def test_config_file_must_contain_a_mapping(
    tiny: Callable[[str], Path], tmp_path: Path, name: str, content: str, message: str
) -> None:
    folder = save_sentence_encoder(tmp_path / "sentences", {})
    (folder / name).write_text(content)
    with pytest.raises(ModelError, match=message):
        families.resolve(f"{tiny('vit')}+{folder}")


def test_unread_files_may_contain_anything(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    folder = save_sentence_encoder(tmp_path / "sentences", {})
    (folder / "notes.json").write_text("no JSON at all")
    families.resolve(f"{tiny('vit')}+{folder}")
