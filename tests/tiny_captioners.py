"""Captioning models of many families at random weights, small enough to save and load in a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

from tasks.assets.recipe import vocabulary

SIZE, PATCH = 32, 16
SPECIAL = ("[PAD]", "[UNK]", "<s>", "</s>", "<image>", "<end>", "<start>", "<stop>", "<video>")
PAD, UNKNOWN, BEGIN, END, IMAGE, SECOND_END, VISION_START, VISION_END, VIDEO = range(len(SPECIAL))
SMOLVLM_TOKENS = ("<fake_token_around_image>", "<global-img>", "<row_1_col_1>")
IMAGE_TOKENS = {"image_token": "<image>", "video_token": "<video>"}
SQUARE = {"height": SIZE, "width": SIZE}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": SIZE,
    "patch_size": PATCH,
    "initializer_range": 0.2,
}
CHAT = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %} <s>{% endif %}"
)


def build_tokenizer(*, names_image: bool = True) -> Any:
    """Return a tokenizer that splits at white space and knows the words of the scenes."""
    words = list(dict.fromkeys([*SPECIAL, *SMOLVLM_TOKENS, *vocabulary()]))
    model = tokenizers.models.WordLevel(
        {word: index for index, word in enumerate(words)}, unk_token="[UNK]"
    )
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    backend.add_special_tokens(["<end>"])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        bos_token="<s>",
        eos_token="</s>",
        **({"extra_special_tokens": IMAGE_TOKENS} if names_image else {}),
    )


def _text(tokenizer: Any, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
        "initializer_range": 0.5,
        "pad_token_id": PAD,
        "bos_token_id": BEGIN,
        "eos_token_id": END,
    } | more


def _git(tokenizer: Any) -> tuple[Any, Any]:
    config = transformers.GitConfig(vision_config=VISION, **_text(tokenizer))
    images = transformers.CLIPImageProcessorPil(size=SQUARE, crop_size=SQUARE)
    return transformers.GitForCausalLM(config), transformers.GitProcessor(images, tokenizer)


def _vision_encoder_decoder(tokenizer: Any) -> tuple[Any, Any]:
    decoder = transformers.GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=64,
        initializer_range=0.5,
        bos_token_id=BEGIN,
        eos_token_id=END,
        is_decoder=True,
        add_cross_attention=True,
    )
    config = transformers.VisionEncoderDecoderConfig(
        encoder=transformers.ViTConfig(**VISION).to_dict(),
        decoder=decoder.to_dict(),
        decoder_start_token_id=BEGIN,
        pad_token_id=PAD,
        eos_token_id=END,
    )
    return transformers.VisionEncoderDecoderModel(config), (
        transformers.ViTImageProcessorPil(size=SQUARE),
        tokenizer,
    )


def _opt(tokenizer: Any) -> Any:
    return transformers.OPTConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        word_embed_proj_dim=32,
        ffn_dim=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        init_std=0.5,
        pad_token_id=PAD,
        bos_token_id=BEGIN,
        eos_token_id=END,
    ).to_dict()


def _query_config(kind: Any, tokenizer: Any, text: dict[str, Any]) -> Any:
    """Return the config of a BLIP-2 or InstructBLIP with this language model."""
    queries = {k: v for k, v in _text(tokenizer).items() if not k.endswith("os_token_id")}
    return kind(
        vision_config=VISION,
        qformer_config=queries | {"encoder_hidden_size": 32},
        text_config=text,
        num_query_tokens=4,
        image_token_index=IMAGE,
    )


def _blip2(tokenizer: Any) -> tuple[Any, Any]:
    return _blip2_with(_opt(tokenizer), tokenizer)


def _blip2_t5(tokenizer: Any) -> tuple[Any, Any]:
    text = transformers.T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        initializer_factor=3.0,
        pad_token_id=PAD,
        eos_token_id=END,
        decoder_start_token_id=PAD,
    )
    return _blip2_with(text.to_dict(), tokenizer)


def _blip2_with(text: dict[str, Any], tokenizer: Any) -> tuple[Any, Any]:
    config = _query_config(transformers.Blip2Config, tokenizer, text)
    images = transformers.BlipImageProcessorPil(size=SQUARE)
    processor = transformers.Blip2Processor(images, tokenizer, num_query_tokens=4)
    return transformers.Blip2ForConditionalGeneration(config), processor


def _instructblip(tokenizer: Any) -> tuple[Any, Any]:
    config = _query_config(transformers.InstructBlipConfig, tokenizer, _opt(tokenizer))
    images = transformers.BlipImageProcessorPil(size=SQUARE)
    processor = transformers.InstructBlipProcessor(
        images, tokenizer, build_tokenizer(names_image=False), num_query_tokens=4
    )
    return transformers.InstructBlipForConditionalGeneration(config), processor


def _florence2(tokenizer: Any) -> tuple[Any, Any]:
    text = transformers.BartConfig(
        vocab_size=len(tokenizer),
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_position_embeddings=128,
        init_std=0.5,
        pad_token_id=PAD,
        bos_token_id=BEGIN,
        eos_token_id=END,
        decoder_start_token_id=END,
        forced_eos_token_id=None,
    ).to_dict()
    vision = {
        "depths": [1, 1, 1, 1],
        "embed_dim": [8, 8, 16, 32],
        "num_heads": [2, 2, 2, 2],
        "num_groups": [2, 2, 2, 2],
        "patch_stride": [4, 2, 2, 1],
        "window_size": 2,
        "projection_dim": 32,
        "initializer_range": 0.2,
    }
    config = transformers.Florence2Config(
        text_config=text, vision_config=vision, image_token_id=IMAGE
    )
    images = transformers.CLIPImageProcessorPil(size=SQUARE, crop_size=SQUARE)
    images.image_seq_length = (SIZE // 16) ** 2 + 1
    return (
        transformers.Florence2ForConditionalGeneration(config),
        transformers.Florence2Processor(images, tokenizer),
    )


def _paligemma(tokenizer: Any) -> tuple[Any, Any]:
    images = transformers.SiglipImageProcessorPil(size=SQUARE)
    images.image_seq_length = (SIZE // PATCH) ** 2
    processor = transformers.PaliGemmaProcessor(images, tokenizer)
    text = _text(tokenizer, num_key_value_heads=2, head_dim=8, model_type="gemma")
    config = transformers.PaliGemmaConfig(
        vision_config=VISION | {"model_type": "siglip_vision_model"},
        text_config=text,
        projection_dim=32,
        hidden_size=32,
        image_token_index=IMAGE,
    )
    return transformers.PaliGemmaForConditionalGeneration(config), processor


def _llava(tokenizer: Any) -> tuple[Any, Any]:
    config = transformers.LlavaConfig(
        vision_config=VISION | {"model_type": "clip_vision_model"},
        text_config=_text(tokenizer, num_key_value_heads=2, model_type="llama"),
        image_token_index=IMAGE,
        image_seq_length=(SIZE // PATCH) ** 2,
    )
    processor = transformers.LlavaProcessor(
        transformers.CLIPImageProcessorPil(size=SQUARE, crop_size=SQUARE),
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT.replace("IMAGE", "<image>"),
    )
    return transformers.LlavaForConditionalGeneration(config), processor


def _smolvlm(tokenizer: Any) -> tuple[Any, Any]:
    text = _text(tokenizer, num_key_value_heads=2, model_type="llama")
    config = transformers.SmolVLMConfig(
        vision_config=VISION,
        text_config=text,
        scale_factor=2,
        image_token_id=IMAGE,
        pad_token_id=PAD,
    )
    images = transformers.SmolVLMImageProcessorPil(
        size={"longest_edge": SIZE}, max_image_size={"longest_edge": SIZE}, do_image_splitting=False
    )
    return transformers.SmolVLMForConditionalGeneration(config), (
        images,
        tokenizer,
        {
            "processor_class": "SmolVLMProcessor",
            "image_seq_len": 1,
            "chat_template": CHAT.replace("IMAGE", "<image>"),
        },
    )


def _qwen_processor(tokenizer: Any, name: str, patch: int) -> Any:
    images = transformers.Qwen2VLImageProcessorPil(
        patch_size=patch,
        merge_size=2,
        size={"shortest_edge": (2 * patch) ** 2, "longest_edge": (4 * patch) ** 2},
    )
    template = CHAT.replace("IMAGE", "<start><image><stop>")
    return images, tokenizer, {"processor_class": name, "chat_template": template}


def _qwen2_5_vl(tokenizer: Any) -> tuple[Any, Any]:
    text = _text(tokenizer, num_key_value_heads=2)
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = transformers.Qwen2_5_VLConfig(
        text_config=text | {"rope_parameters": rope},
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 4,
            "patch_size": 8,
            "window_size": 32,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
            "initializer_range": 0.2,
        },
        image_token_id=IMAGE,
        video_token_id=VIDEO,
        vision_start_token_id=VISION_START,
        vision_end_token_id=VISION_END,
    )
    processor = _qwen_processor(tokenizer, "Qwen2_5_VLProcessor", 8)
    return transformers.Qwen2_5_VLForConditionalGeneration(config), processor


def _qwen3_vl(tokenizer: Any) -> tuple[Any, Any]:
    text = _text(tokenizer, num_key_value_heads=2, head_dim=8)
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = transformers.Qwen3VLConfig(
        text_config=text | {"rope_parameters": rope},
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 4,
            "patch_size": 8,
            "out_hidden_size": 32,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0, 1],
            "initializer_range": 0.2,
        },
        image_token_id=IMAGE,
        video_token_id=VIDEO,
        vision_start_token_id=VISION_START,
        vision_end_token_id=VISION_END,
    )
    processor = _qwen_processor(tokenizer, "Qwen3VLProcessor", 8)
    return transformers.Qwen3VLForConditionalGeneration(config), processor


BUILDERS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "git": _git,
    "vision-encoder-decoder": _vision_encoder_decoder,
    "blip-2": _blip2,
    "blip-2-t5": _blip2_t5,
    "instructblip": _instructblip,
    "florence2": _florence2,
    "llava": _llava,  # no stage encodes its images
    "paligemma": _paligemma,
    "smolvlm": _smolvlm,
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
}


def save_captioner(family: str, folder: Path, *, ends: tuple[int, ...] = (END, SECOND_END)) -> Path:
    """Save a random model of the family with its processor; two tokens end its captions."""
    torch.manual_seed(0)
    # The tokenizers of both BLIPs know the image's token without naming it.
    tokenizer = build_tokenizer(names_image=family not in ("blip-2", "blip-2-t5", "instructblip"))
    model, processor = BUILDERS[family](tokenizer)
    model.generation_config.eos_token_id = list(ends)
    model.generation_config.pad_token_id = PAD
    model.save_pretrained(folder)
    if isinstance(processor, tuple):
        import json

        images, tokenizer, *rest = processor
        tokenizer.save_pretrained(folder)
        images.save_pretrained(folder)
        if rest:
            options = dict(rest[0])
            template = options.pop("chat_template")
            (folder / "chat_template.jinja").write_text(template)
            (folder / "processor_config.json").write_text(json.dumps(options))
    else:
        processor.save_pretrained(folder)
    return folder
