"""Backbones with random weights give the features of the library; invalid files are named."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from retrieval_trials import make_model_trial
from tiny_models import CAPTIONS, IMAGES
from torch import nn

from tasks.contract import ModelError, RequestError
from tasks.models import families, heads
from tasks.models.dual import load_dual_encoder
from tasks.models.texts import TextPreparation, adapt_texts
from tasks.retrieval import stages, training
from tasks.retrieval.losses import sigmoid_loss
from tasks.retrieval.params import BIAS
from tasks.retrieval.task import TASK

KINDS = ["blip", "clip", "metaclip_2", "siglip", "siglip2", "siglip2-fixed"]


def dual(name: str) -> Any:
    return load_dual_encoder(name, "x", "cpu", "float32")


def embed(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings by this project: features of the frozen encoders, then the heads."""
    model = dual(name)
    weights = {key: torch.tensor(value) for key, value in model.heads.items()}
    return (
        heads.project(weights, "image", torch.tensor(model.image.encode(IMAGES))),
        heads.project(weights, "text", torch.tensor(model.text.encode(CAPTIONS))),
    )


@torch.inference_mode()
@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_match_the_library(tiny: Callable[[str], str], kind: str) -> None:
    folder = tiny(kind)
    model = transformers.AutoModel.from_pretrained(folder)
    if kind == "blip":
        model = transformers.BlipForImageTextRetrieval.from_pretrained(folder)
    model.eval()
    pixels = transformers.AutoImageProcessor.from_pretrained(folder)(IMAGES, return_tensors="pt")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if kind.startswith("siglip"):
        ids = tokenizer(
            CAPTIONS, padding="max_length", truncation=True, max_length=16, return_tensors="pt"
        )
        out = model(input_ids=ids["input_ids"], **pixels)
    else:
        ids = tokenizer(CAPTIONS, padding=True, return_tensors="pt")
        options = {"use_itm_head": False} if kind == "blip" else {}
        ids = {key: ids[key] for key in ("input_ids", "attention_mask")}
        out = model(**ids, **pixels, **options)
    image, text = embed(folder)
    if kind == "blip":
        torch.testing.assert_close(image @ text.T, out[0], atol=1e-5, rtol=1e-4)
    else:
        torch.testing.assert_close(image, out.image_embeds, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(text, out.text_embeds, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_caption_features_do_not_depend_on_the_batch(tiny: Callable[[str], str], kind: str) -> None:
    encode = dual(tiny(kind)).text.encode
    together = encode(CAPTIONS)
    alone = np.concatenate([encode([caption]) for caption in CAPTIONS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


class _Colour(nn.Module):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean(dim=(2, 3))


def colour_encoder() -> tuple[nn.Module, Any]:
    """An image encoder as a user would write it."""

    def prepare(images: Any) -> torch.Tensor:
        arrays = [np.asarray(image, dtype=np.float32) / 255 for image in images]
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)

    return _Colour(), prepare


def test_custom_encoder_factory(tiny: Callable[[str], str]) -> None:
    name = f"{__name__}:colour_encoder+{tiny('bert')}"
    source = families.resolve(name)
    assert source.name == name
    assert source.fingerprint == families.resolve(name).fingerprint
    features = dual(name).image.encode(IMAGES)
    expected = np.array([[1, 0, 0], [0, 0, 128 / 255], [1, 1, 1]])
    np.testing.assert_allclose(features, expected, atol=1e-6)
    assert dual(name).widths() == (3, 32)


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        ("pair", {}, "has no pretrained heads; add --set start=random"),
        ("clip", {"head": "mlp"}, "head=mlp creates new heads; add --set start=random"),
        ("clip", {"start": "random", "embed_dim": 8}, "add --set head=linear or --set head=mlp"),
        ("siglip", {"start": "random", "head": "linear"}, "needs head=own"),
        ("blip", {"temperature": None}, "temperature=none .* has none; set one"),
        ("clip", {"bias": -5.0}, "add --set loss=sigmoid"),
    ],
)
def test_unsuitable_parameters_are_refused(
    tiny: Callable[[str], str], kind: str, params: dict[str, object], message: str
) -> None:
    name = f"{tiny('vit')}+{tiny('bert')}" if kind == "pair" else tiny(kind)
    with pytest.raises(RequestError, match=message):
        make_model_trial(name, **params)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a+b+c", "written IMAGE.TEXT"),
        ("+b", "written IMAGE.TEXT"),
        ("no.such.package:encoder+b", "cannot be imported"),
        ("json:parse+b", "json has no .parse."),
        ("json:__doc__+b", "must be a function"),
    ],
)
def test_invalid_pair_is_refused(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        families.resolve(name)


def test_missing_weights_are_refused_before_and_at_loading(
    tiny: Callable[[str], str], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    for source in Path(tiny("clip")).iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    file = tmp_path / "model.safetensors"
    one = "text_model.encoder.layers.1.mlp.fc1.weight"
    save_file({k: v for k, v in weights.items() if k != one}, file, {"format": "pt"})
    with pytest.raises(ModelError, match=rf"lacks 1 weights.*{one}"):
        dual(str(tmp_path))
    headless = {k: v for k, v in weights.items() if "projection" not in k}
    save_file(headless, file, {"format": "pt"})
    with pytest.raises(ModelError, match=r"visual_projection.*--set start=random"):
        families.check_weights(str(tmp_path), heads=True)
    families.check_weights(str(tmp_path), heads=False)
    file.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="no safetensors header"):
        families.check_weights(str(tmp_path), heads=False)


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_new_heads_have_the_requested_width(tiny: Callable[[str], str], head: str) -> None:
    trial = make_model_trial(tiny("clip"), start="random", head=head, embed_dim=7)
    inputs = {stages.heads_stage(trial): stages.read_heads(model=trial.model, device="cpu")}
    first = training.start(trial, inputs, "cpu").arrays
    again = training.start(trial, inputs, "cpu").arrays
    other = training.start(dataclasses.replace(trial, seed=1), inputs, "cpu").arrays
    weights = {k.removeprefix("weight."): v for k, v in first.items() if k.startswith("weight.")}
    assert heads.project(weights, "image", torch.randn(2, 32)).shape == (2, 7)
    assert heads.project(weights, "text", torch.randn(2, 32)).shape == (2, 7)
    for name, value in first.items():
        assert torch.equal(value, again[name])
        assert name.split(".")[0] != "weight" or not torch.equal(value, other[name])


def test_temperature_and_bias_are_the_checkpoint_s(tiny: Callable[[str], str]) -> None:
    model = transformers.SiglipModel.from_pretrained(tiny("siglip"))
    trial = make_model_trial(tiny("siglip"), temperature=None, loss="sigmoid")
    params = trial.params
    assert params.temperature == pytest.approx(math.exp(-model.logit_scale.item()), rel=1e-5)
    assert params.bias == pytest.approx(model.logit_bias.item(), rel=1e-5)
    assert TASK.normalize(trial) == trial
    again = make_model_trial(tiny("siglip"), temperature=params.temperature, loss="sigmoid")
    assert again.id == trial.id
    clip = make_model_trial(tiny("clip"), temperature=None, loss="sigmoid").params
    assert (clip.temperature, clip.bias) == (pytest.approx(math.exp(-2.6592), rel=1e-5), BIAS)
    untrained = make_model_trial(tiny("blip"), temperature=None, epochs=0)
    assert untrained.id == make_model_trial(tiny("blip"), epochs=0).id


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({"loss": "contrastive", "learn_bias": False}, {}),
        ({"pairs": "random"}, {}),
        ({"pairs": "all", "num_captions": 1}, {"num_captions": 1}),
    ],
)
def test_equal_work_has_equal_ids(
    tiny: Callable[[str], str], given: dict[str, object], plain: dict[str, object]
) -> None:
    assert make_model_trial(tiny("clip"), **given) == make_model_trial(tiny("clip"), **plain)


@torch.inference_mode()
def test_sigmoid_loss_of_a_checkpoint_matches_the_library(tiny: Callable[[str], str]) -> None:
    folder = tiny("siglip")
    model = transformers.SiglipModel.from_pretrained(folder).eval()
    pixels = transformers.AutoImageProcessor.from_pretrained(folder)(IMAGES, return_tensors="pt")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(CAPTIONS, padding="max_length", max_length=16, return_tensors="pt")
    expected = model(input_ids=ids["input_ids"], **pixels, return_loss=True).loss
    params = make_model_trial(folder, temperature=None, loss="sigmoid").params
    found = sigmoid_loss(*embed(folder), params.temperature, params.bias)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_naflex_takes_images_of_any_shape(tiny: Callable[[str], str]) -> None:
    images = [IMAGES[0].resize(size) for size in ((40, 40), (60, 15), (16, 50), (33, 9))]
    folder = tiny("siglip2")
    model = transformers.Siglip2Model.from_pretrained(folder).eval()
    inputs = transformers.AutoImageProcessor.from_pretrained(folder)(images, return_tensors="pt")
    assert not inputs["pixel_attention_mask"].all()  # some images have padding
    expected = model.get_image_features(**inputs).pooler_output
    encoders = dual(folder)
    weights = {key: torch.tensor(value) for key, value in encoders.heads.items()}
    features = encoders.image.encode(images)
    found = heads.project(weights, "image", torch.tensor(features))
    torch.testing.assert_close(found, torch.nn.functional.normalize(expected, dim=-1))
    alone = np.concatenate([encoders.image.encode([image]) for image in images])
    np.testing.assert_allclose(features, alone, atol=1e-5)


def test_captions_are_truncated_and_in_lower_case(tiny: Callable[[str], str]) -> None:
    folder = tiny("siglip2")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizer("A Star")["input_ids"] == tokenizer("a star")["input_ids"]  # by itself
    prepare = adapt_texts(dual(folder), 7, None).text.prepare
    ids = prepare(CAPTIONS)["input_ids"]
    cut = tokenizer(CAPTIONS, truncation=True, max_length=7)["input_ids"]
    padding = tokenizer.pad_token_id
    for row, expected in zip(ids.tolist(), cut, strict=True):  # SigLIP reads the last position
        assert len(row) == 16
        assert [token for token in row if token != padding] == expected
        assert row[0] == padding
    with pytest.raises(ModelError, match=r"max_tokens <= 16.*got 17"):
        adapt_texts(dual(folder), 17, None)
    seen: list[str] = []

    class Recording:
        def __call__(self, texts: list[str], **options: Any) -> Any:
            seen.extend(texts)
            return tokenizer(texts, **options)

    lowered = TextPreparation(tokenizer=Recording(), max_length=9, lower_case=True)
    assert set(lowered(["A Star"])) == {"input_ids", "attention_mask"}
    assert seen == ["a star"]


def test_gemma_s_tokenizer_keeps_capitals_unless_they_are_lowered(
    tiny: Callable[[str], str],
) -> None:
    folder = tiny("siglip2-fixed")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert isinstance(tokenizer, transformers.GemmaTokenizer)
    prepare = dual(folder).text.prepare
    (ids,) = prepare(["A Star"])["input_ids"].tolist()
    tokens = tokenizer.convert_ids_to_tokens(ids)
    assert tokens == [*"A▁Star", "<eos>", *["<pad>"] * 9]
    (lowered,) = adapt_texts(dual(folder), None, True).text.prepare(["A Star"])["input_ids"]
    assert tokenizer.convert_ids_to_tokens(lowered.tolist())[:5] == ["a", "▁", "sta", "r", "<eos>"]
    (cut,) = adapt_texts(dual(folder), 4, True).text.prepare(["A Star of all"])["input_ids"]
    assert tokenizer.convert_ids_to_tokens(cut.tolist()) == [
        *["a", "▁", "sta", "<eos>"],
        *["<pad>"] * 12,
    ]


@torch.inference_mode()
def test_features_of_truncated_captions_match_the_library(tiny: Callable[[str], str]) -> None:
    folder = tiny("siglip")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = [tokenizer(text)["input_ids"] for text in CAPTIONS]
    assert max(map(len, ids)) > 6
    rows = [[*each[:5], each[-1]] if len(each) > 6 else each for each in ids]
    padded = torch.tensor([row + [tokenizer.pad_token_id] * (16 - len(row)) for row in rows])
    model = transformers.SiglipModel.from_pretrained(folder).eval()
    expected = model.text_model(input_ids=padded).last_hidden_state[:, -1]
    found = torch.tensor(adapt_texts(dual(folder), 6, None).text.encode(CAPTIONS))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["blip", "siglip2", "pair", "half"])
def test_too_many_tokens_are_refused(tiny: Callable[[str], str], kind: str) -> None:
    text = tiny({"pair": "bert", "half": "clip"}.get(kind, kind))
    name = f"{tiny('vit')}+{text}" if kind in ("pair", "half") else text
    start = {"start": "random"} if kind in ("pair", "half") else {}
    assert make_model_trial(name, **start, max_tokens=16).params.max_tokens == 16
    with pytest.raises(ModelError, match=r"max_tokens <= 16.*got 17"):
        make_model_trial(name, **start, max_tokens=17)


def test_options_of_captions_change_their_stage_only_if_set(tiny: Callable[[str], str]) -> None:
    plain = make_model_trial(tiny("clip"))
    assert make_model_trial(tiny("clip"), lower_case=False) == plain
    keys = {stage.key for stage in stages.needed(plain)}
    for options in ({"max_tokens": 9}, {"lower_case": True}):
        trial = make_model_trial(tiny("clip"), **options)
        changed = [s for s in stages.needed(trial) if s.key not in keys]
        assert {s.function.__name__ for s in changed} == {"encode_texts"}
        assert len(changed) == 2
        values = changed[0].function(**changed[0].args, device="cpu")
        assert len(values["features"]) == values["row"].max() + 1
        assert make_model_trial(tiny("clip"), epochs=0, **options).params.max_tokens == (
            options.get("max_tokens")
        )
    name = f"{tiny('vit')}+{__name__}:colour_encoder"
    with pytest.raises(RequestError, match="the text encoder is a factory"):
        make_model_trial(name, start="random", lower_case=True)
