"""Captioning with tiny random models of many families, compared with ``generate``."""

from __future__ import annotations

import functools
import importlib.util
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_captioners import BUILDERS, END, SECOND_END, save_captioner

import tasks.captioning.images as module
from tasks.captioning.beams import BeamConfig
from tasks.captioning.decoding import DecodingConfig
from tasks.captioning.generating import ImageInputs, beam_search, decode_rows, pad_after_end
from tasks.captioning.images import GeneratedImages
from tasks.models.captioner_families import IMAGE_ENCODERS
from tasks.models.image_text import ImageTextCaptioner
from tasks.models.image_text_loading import load_image_text

PROMPT = "a red circle"
LENGTH = 8
CONFIGS = (
    DecodingConfig(max_length=LENGTH),
    DecodingConfig(max_length=LENGTH, repetition_penalty=1.5),
    DecodingConfig(max_length=LENGTH, temperature=1.0, min_length=3),
    DecodingConfig(max_length=5, temperature=2.0, top_k=20),
    DecodingConfig(max_length=LENGTH, temperature=1.5, top_p=0.9, seed=1),
    DecodingConfig(max_length=LENGTH, temperature=1.5, typical_p=0.8, no_repeat_ngram_size=1),
)
#: transformers' processor of PaliGemma calls numpy in a way that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
Load = Callable[[str], ImageTextCaptioner]


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    generator = np.random.default_rng(0)
    sizes = [(40, 40), (40, 40), (64, 30), (40, 40), (30, 64)]  # width, height
    return [
        Image.fromarray(generator.integers(0, 255, (height, width, 3), dtype=np.uint8))
        for width, height in sizes
    ]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    loaded: dict[str, ImageTextCaptioner] = {}

    def load(family: str) -> ImageTextCaptioner:
        if family == "smolvlm" and importlib.util.find_spec("num2words") is None:
            pytest.skip("the processor of SmolVLM needs num2words")
        if family not in loaded:
            folder = save_captioner(family, tmp_path_factory.mktemp(family))
            captioner = load_image_text(str(folder), "x", "cpu", "float32")
            loaded[family] = replace(captioner, ends=frequent_tokens(captioner))
        return loaded[family]

    return load


def frequent_tokens(captioner: ImageTextCaptioner) -> tuple[int, ...]:
    """Let many tokens end a caption, because a random model rarely chooses one of two."""
    return tuple(range(3, captioner.model.get_output_embeddings().weight.shape[0], 7))


def library(captioner: ImageTextCaptioner, images: list[Any], **options: Any) -> np.ndarray:
    """The library's ``generate`` from pixels to the new tokens."""
    inputs = captioner.inputs(images, PROMPT)
    start = inputs.get("decoder_input_ids", inputs.get("input_ids"))
    ids = captioner.model.generate(
        **inputs, eos_token_id=list(captioner.ends), max_new_tokens=LENGTH, **options
    )
    encodes_prompt = captioner.is_encoder_decoder and "decoder_input_ids" not in inputs
    return ids[:, 1 if encodes_prompt else start.shape[1] :].numpy()


def prepare(captioner: ImageTextCaptioner, images: list[Any]) -> ImageInputs:
    if captioner.has_features:
        features = [torch.from_numpy(each) for each in captioner.encode_features(images)]
        return ImageInputs(captioner, PROMPT, images=images, features=features)
    if not captioner.has_states:
        return ImageInputs(captioner, PROMPT, images=images)
    states = torch.from_numpy(captioner.encode(images))
    return ImageInputs(captioner, PROMPT, states=states)


def same(one: np.ndarray, other: np.ndarray, pad: int) -> np.ndarray:
    width = max(one.shape[1], other.shape[1])
    one, other = (
        np.pad(ids, ((0, 0), (0, width - ids.shape[1])), constant_values=pad)
        for ids in (one, other)
    )
    return (one == other).all(1)


def assert_equal(captioner: ImageTextCaptioner, found: np.ndarray, expected: np.ndarray) -> None:
    expected = pad_after_end(expected, captioner.ends, captioner.pad)
    assert same(found, expected, captioner.pad).all(), (found, expected)


@pytest.mark.parametrize("family", BUILDERS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"min_length": 4},
        {"repetition_penalty": 1.5, "no_repeat_ngram_size": 2},
    ],
)
def test_greedy_matches_generate_token_for_token(
    family: str, options: dict[str, Any], load: Load, images: list[Any]
) -> None:
    captioner = load(family)
    config = DecodingConfig(max_length=LENGTH, **options)
    (found,) = decode_rows(captioner, prepare(captioner, images), range(len(images)), [config])
    given = {"min_new_tokens" if key == "min_length" else key: n for key, n in options.items()}
    assert_equal(captioner, found, library(captioner, images, do_sample=False, **given))
    assert len({tuple(row) for row in found.tolist()}) > 1  # it looks at the images


@pytest.mark.parametrize("family", BUILDERS)
def test_beam_search_matches_generate(family: str, load: Load, images: list[Any]) -> None:
    captioner = load(family)
    options: dict[str, Any] = {
        "num_beams": 3,
        "no_repeat_ngram_size": 3,
        "length_penalty": 0.5,
        "early_stopping": True,
    }
    config = BeamConfig(min_length=2, max_length=LENGTH, **options)
    found = beam_search(captioner, prepare(captioner, images), config)
    expected = library(captioner, images, do_sample=False, min_new_tokens=2, **options)
    assert_equal(captioner, found, expected)


@pytest.mark.parametrize("family", BUILDERS)
def test_pack_matches_single_configs(family: str, load: Load, images: list[Any]) -> None:
    captioner, keys = load(family), range(len(images))
    together = decode_rows(captioner, prepare(captioner, images), keys, CONFIGS)
    for config, found in zip(CONFIGS, together, strict=True):
        (alone,) = decode_rows(captioner, prepare(captioner, images), keys, [config])
        assert same(found, alone, captioner.pad).all()
        assert (found[:, config.max_length :] == captioner.pad).all()


@pytest.mark.parametrize("family", BUILDERS)
def test_caption_does_not_depend_on_the_batch(family: str, load: Load, images: list[Any]) -> None:
    captioner, keys = load(family), range(len(images))
    whole = decode_rows(captioner, prepare(captioner, images), keys, CONFIGS)
    for part in ([3, 0], [2], [1, 4]):
        chosen = [images[i] for i in part]
        found = decode_rows(captioner, prepare(captioner, chosen), part, CONFIGS)
        for one, other in zip(found, whole, strict=True):
            assert same(one, other[part], captioner.pad).all()


@pytest.mark.parametrize("family", BUILDERS)
def test_prompt_is_read_once_per_image(
    family: str, load: Load, images: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    captioner = load(family)
    rows: list[int] = []
    kind = type(captioner.generator)
    original = kind.forward

    @functools.wraps(original)
    def forward(self: Any, *args: Any, **options: Any) -> Any:
        output = original(self, *args, **options)
        rows.append(len(output.logits))
        return output

    monkeypatch.setattr(kind, "forward", forward)
    decode_rows(captioner, prepare(captioner, images), range(len(images)), CONFIGS)
    assert rows[0] == len(images)
    assert set(rows[1:]) == {len(images) * len(CONFIGS)}


@pytest.mark.parametrize("family", [family for family in BUILDERS if family != "llava"])
def test_encoded_images_are_not_encoded_again(
    family: str, load: Load, images: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    captioner = load(family)
    given, again = prepare(captioner, images), prepare(captioner, images)

    def refuse(self: Any, *args: Any, **options: Any) -> None:
        raise AssertionError("encodes the images again")

    if captioner.has_features:
        monkeypatch.setattr(type(captioner.model.base_model), "get_image_features", refuse)
    else:
        encoder = operator.attrgetter(IMAGE_ENCODERS[captioner.family])(captioner.model)
        monkeypatch.setattr(type(encoder), "forward", refuse)
    decode_rows(captioner, given, range(len(images)), CONFIGS)
    beam_search(captioner, again, BeamConfig(num_beams=2, max_length=5))


def test_end_tokens_and_padding_are_no_text(load: Load) -> None:
    captioner = replace(load("git"), ends=(END, SECOND_END, 40))
    word = captioner.tokenizer.convert_ids_to_tokens(41)
    ids = np.array([[41, 41, 40, captioner.pad], [41, END, captioner.pad, captioner.pad]])
    assert [text.split() for text in captioner.decode(ids)] == [[word, word], [word]]


@pytest.mark.parametrize("family", BUILDERS)
def test_batches_fit_into_memory_and_change_nothing(
    family: str, load: Load, images: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    captioner, keys = load(family), range(len(images))
    given: Any = [images]
    if captioner.has_states:
        given = [torch.from_numpy(captioner.encode(images))]
    elif captioner.has_features:
        given.append([torch.from_numpy(each) for each in captioner.encode_features(images)])
    rows: list[int] = []
    original = decode_rows

    def spy(captioner: Any, given: ImageInputs, keys: Any, configs: Any) -> Any:
        rows.append(given.number * len(configs))
        return original(captioner, given, keys, configs)

    def decode() -> list[np.ndarray]:
        rows.clear()
        return GeneratedImages(captioner, PROMPT, *given).decode(keys, CONFIGS)

    monkeypatch.setattr(module, "decode_rows", spy)
    whole, total = decode(), len(images) * len(CONFIGS)
    assert rows == [total]
    for limit, value in (("GENERATE_ROWS", 10), ("GENERATE_ROWS", 4), ("GENERATE_BYTES", 1)):
        monkeypatch.setattr(module, limit, value)
        parts = decode()
        assert max(rows) <= value
        assert sum(rows) == total
        for one, other in zip(whole, parts, strict=True):
            assert same(one, other, captioner.pad).all()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", BUILDERS)
def test_keys_and_values_have_at_most_the_expected_size(
    family: str, precision: str, load: Load, images: list[Any]
) -> None:
    captioner = replace(load(family), precision=precision)
    found = count_cache_bytes(captioner, images)
    sizes = {captioner.cache_bytes}
    if precision == "bfloat16":  # not for all families, see ``cache_bytes``
        sizes.add(captioner.cache_bytes // 2)
    assert found in sizes


def count_cache_bytes(captioner: ImageTextCaptioner, images: list[Any]) -> int:
    """The size of the keys and values of one token of one row, from the library's cache."""
    with captioner.autocast():
        made = captioner.model.generate(
            **captioner.inputs(images[:1], PROMPT),
            max_new_tokens=2,
            do_sample=False,
            eos_token_id=list(captioner.ends),
            return_dict_in_generate=True,
        )
    cache = getattr(made.past_key_values, "self_attention_cache", made.past_key_values)
    return sum(
        each[0, :, 0].numel() * each.element_size()
        for layer in cache.layers
        for each in (layer.keys, layer.values)
    )
