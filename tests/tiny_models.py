"""Models of each family at random weights, small enough to save and load in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image

from tasks.assets.recipe import build_tokenizer

TINY = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
VISION = TINY | {"image_size": 32, "patch_size": 8}
CAPTIONS = ["a red circle", "a small blue square left of a green star", "a star"]
IMAGES = [Image.new("RGB", (40, 40), colour) for colour in ("red", "navy", "white")]


def build_lower_tokenizer(folder: Path) -> Any:
    """Save a tokenizer of SigLIP 2: one token per character, lower case, padding on the left."""
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokens = [*specials, "▁", *"abcdefghijklmnopqrstuvwxyz"]
    vocab = {token: number for number, token in enumerate(tokens)}
    tokenizer = transformers.Siglip2Tokenizer(vocab=vocab, model_max_length=16)
    tokenizer.save_pretrained(folder)
    return tokenizer


def build_gemma_tokenizer(folder: Path) -> Any:
    """Save a tokenizer of SigLIP 2 with a fixed resolution: Gemma's, which keeps capitals.

    It is set as in the published checkpoints: no start token, an end token, padding on the right.
    """
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = [*specials, "▁", *letters, *letters.upper(), "st", "sta"]
    tokenizer = transformers.GemmaTokenizer(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=[("s", "t"), ("st", "a")],
        add_bos_token=False,
        add_eos_token=True,
        padding_side="right",
        model_max_length=16,
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


TOKENIZERS = {"siglip2": build_lower_tokenizer, "siglip2-fixed": build_gemma_tokenizer}


def save_tiny(kind: str, folder: Path) -> Path:
    """A model of the family with random weights, its tokenizer and its image processor."""
    torch.manual_seed(0)
    tokenizer = TOKENIZERS.get(kind, build_tokenizer)(folder)
    text = TINY | {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 16,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "projection_size": 32,
    }
    configs: dict[str, Any] = {
        "blip": lambda: transformers.BlipForImageTextRetrieval(
            transformers.BlipConfig(
                text_config=text | {"encoder_hidden_size": 32},
                vision_config=VISION | {"initializer_range": 0.02},
                image_text_hidden_size=24,
            )
        ),
        "clip": lambda: transformers.CLIPModel(
            transformers.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=24)
        ),
        "siglip": lambda: transformers.SiglipModel(
            transformers.SiglipConfig(text_config=text, vision_config=VISION)
        ),
        "siglip2": lambda: transformers.Siglip2Model(
            transformers.Siglip2Config(
                text_config=text,
                vision_config=TINY | {"patch_size": 8, "num_patches": 16},
            )
        ),
        "metaclip_2": lambda: transformers.MetaClip2Model(
            transformers.MetaClip2Config(text_config=text, vision_config=VISION, projection_dim=24)
        ),
        "vit": lambda: transformers.ViTModel(transformers.ViTConfig(**VISION)),
        "vit-classifier": lambda: transformers.ViTForImageClassification(  # has no pooler
            transformers.ViTConfig(**VISION)
        ),
        "dinov2": lambda: transformers.Dinov2WithRegistersModel(
            transformers.Dinov2WithRegistersConfig(
                **{key: VISION[key] for key in VISION if key != "intermediate_size"},
                num_register_tokens=3,
            )
        ),
        "resnet": lambda: transformers.ResNetModel(
            transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
        ),
        "swin": lambda: transformers.SwinModel(
            transformers.SwinConfig(
                image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2]
            )
        ),
        "bert": lambda: transformers.BertModel(transformers.BertConfig(**text)),
    }
    configs["siglip" if kind == "siglip2-fixed" else kind]().save_pretrained(folder)
    if kind == "siglip2":
        processor = transformers.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)
        processor.save_pretrained(folder)
        return folder
    size = {"height": 32, "width": 32}
    processor = {
        "blip": transformers.BlipImageProcessorPil,
        "clip": transformers.CLIPImageProcessorPil,
        "metaclip_2": transformers.CLIPImageProcessorPil,
    }.get(kind, transformers.ViTImageProcessorPil)
    crop = {"crop_size": size} if "clip" in kind else {}
    processor(size={"shortest_edge": 32} if "clip" in kind else size, **crop).save_pretrained(
        folder
    )
    return folder
