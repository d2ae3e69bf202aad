"""Load any captioning model that transformers can ``generate`` with, by id or folder.

N images, T tokens, S image tokens, D the image encoder's width, K rows per image
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import transformers
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from tasks.contract import ModelError
from tasks.models.captioner_families import IMAGE_ENCODERS
from tasks.models.image_text_processor import load_processor
from tasks.models.loading import load_checked, silence_transformers

#: What a checkpoint's generation config keeps: properties of the model, not choices of a trial.
MODEL_OPTIONS = (
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "decoder_start_token_id",
    "forced_bos_token_id",
    "pad_token_id",
    "suppress_tokens",
)

Inputs = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ImageTextCaptioner:
    """A captioning model on a device, with its processor. ``ends`` are the ids of end tokens."""

    family: str
    model: Any
    processor: Any
    tokenizer: Any
    image_processor: Any
    ends: tuple[int, ...]
    pad: int
    device: str
    precision: str

    def autocast(self) -> Any:
        """Return a context manager in which the model computes at its precision."""
        dtype = getattr(torch, self.precision)
        kind = self.device.split(":")[0]
        return torch.autocast(kind, dtype=dtype, enabled=dtype is not torch.float32)

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the model has a decoder besides the encoder, so that captions start anew."""
        return bool(self.model.config.is_encoder_decoder)

    @property
    def generator(self) -> Any:
        """The model whose layers ``generate`` calls at each step."""
        return _generators(self.model)[-1]

    @property
    def cache_bytes(self) -> int:
        """The size of the keys and values of one token, in all layers of the decoder."""
        config = self.model.config.get_text_config(decoder=True)
        num_heads = config.num_attention_heads
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // num_heads
        num_kept = getattr(config, "num_key_value_heads", None) or num_heads
        element = torch.finfo(getattr(torch, self.precision)).bits // 8
        return int(2 * config.num_hidden_layers * num_kept * head_dim * element)

    @property
    def has_states(self) -> bool:
        """Whether images are encoded once, by ``encode``, instead of at each step."""
        return self.family in IMAGE_ENCODERS

    @torch.inference_mode()
    def encode(self, images: Sequence[Any]) -> Float[np.ndarray, "N S D"]:
        """Encode RGB images into all their image tokens, float32."""
        pixels = self.image_processor(images=list(images), return_tensors="pt")["pixel_values"]
        with self.autocast():
            states: Tensor = self._image_encoder()(pixels.to(self.device)).last_hidden_state
        return np.asarray(states.float().cpu().numpy())

    def inputs(self, images: Sequence[Any], prompt: str) -> Inputs:
        """Return the arguments of ``generate`` for RGB images and one prompt."""
        if self.processor is None:
            found = self.image_processor(images=list(images), return_tensors="pt")
            name = "decoder_input_ids" if self.is_encoder_decoder else "input_ids"
            found = {**found, name: torch.tensor([self.prompt_ids(prompt)] * len(images))}
        else:
            found = self.processor(
                images=[[image] for image in images],
                text=[self.prompt_text(prompt)] * len(images),
                padding=True,
                padding_side="left",
                return_tensors="pt",
            )
        kept = {key: value for key, value in found.items() if key != "labels"}
        return {key: value.to(self.device) for key, value in kept.items()}

    def inputs_of_states(self, num_images: int, prompt: str) -> Inputs:
        """Return the arguments of ``generate`` for encoded images, without their pixels.

        Use them inside ``encoded_images``. Each image has the same number of tokens, so the text
        of a blank one is that of all.
        """
        blank = self.inputs([Image.new("RGB", (32, 32))], prompt)
        return {key: _repeat(value, num_images) for key, value in blank.items()}

    @contextlib.contextmanager
    def encoded_images(self, states: Float[Tensor, "N S D"]) -> Iterator[None]:
        """Use encoded images instead of the image encoder, once or K times per image."""
        encoder = self._image_encoder()

        def forward(pixel_values: Tensor, *args: Any, **options: Any) -> Any:
            rows = states.repeat_interleave(len(pixel_values) // len(states), dim=0)
            return BaseModelOutputWithPooling(last_hidden_state=rows)

        encoder.forward = forward  # hides the method of the class
        try:
            yield
        finally:
            del encoder.forward

    def decode(self, ids: Int[np.ndarray, "N T"]) -> list[str]:
        """Decode tokens to text without special tokens and end tokens, such as a line break."""
        kept = [[token for token in row.tolist() if token not in self.ends] for row in ids]
        texts: list[str] = self.tokenizer.batch_decode(kept, skip_special_tokens=True)
        return texts

    def _image_encoder(self) -> Any:
        return operator.attrgetter(IMAGE_ENCODERS[self.family])(self.model)

    def prompt_text(self, prompt: str) -> str:
        """Return the prompt as the processor takes it: as a turn of a chat if it has a template."""
        if self.processor.chat_template:
            content = [{"type": "image"}, {"type": "text", "text": prompt}]
            text: str = transformers.ProcessorMixin.apply_chat_template(  # SmolVLM's needs videos
                self.processor,
                [{"role": "user", "content": content}],
                add_generation_prompt=True,
                tokenize=False,
            )
            return text
        return f"<image>{prompt}" if self.family == "paligemma" else prompt

    def prompt_ids(self, prompt: str) -> list[int]:
        """Return the start token and the prompt's tokens, for models without a processor."""
        config = self.model.generation_config
        starts = [config.decoder_start_token_id, self.tokenizer.cls_token_id, config.bos_token_id]
        if not self.is_encoder_decoder:
            starts = starts[1:]
        start = next(token for token in starts if token is not None)
        return [start, *self.tokenizer(prompt, add_special_tokens=False)["input_ids"]]


def _repeat(value: Tensor, number: int) -> Tensor:
    return value.expand(number, *value.shape[1:])


@lru_cache(maxsize=1)
def load_image_text(name: str, fingerprint: str, device: str, precision: str) -> ImageTextCaptioner:
    """Load a captioning model and keep it in this process's memory for later calls.

    Raises:
        ModelError: if it cannot be loaded, if weights are missing, or if no token ends a caption.
    """
    silence_transformers()
    model = load_checked(name, transformers.AutoModelForImageTextToText, lambda key: True)
    family = model.config.model_type
    parts = load_processor(name, family)
    tokenizer = parts.tokenizer
    ends = end_tokens(model, tokenizer)
    if not ends:
        raise ModelError(
            f"{name} names no token that ends a caption; set eos_token_id in its "
            "generation_config.json"
        )
    pad = model.generation_config.pad_token_id
    pad = tokenizer.pad_token_id if pad is None else pad
    pad = ends[0] if pad is None else pad
    plain = plain_generation(model, pad)
    for each in _generators(model):
        each.generation_config = plain
    return ImageTextCaptioner(
        family=family,
        model=model.to(device).eval(),
        processor=parts.processor,
        tokenizer=tokenizer,
        image_processor=parts.image_processor,
        ends=ends,
        pad=pad,
        device=device,
        precision=precision,
    )


def _generators(model: Any) -> list[Any]:
    """Return the model, and its language model if that has a ``generate`` of its own.

    BLIP-2 and InstructBLIP encode the images and call the language model's ``generate``.
    """
    inner = getattr(model, "language_model", None)
    return [model, inner] if hasattr(inner, "generate") else [model]


def end_tokens(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Return the ids of the tokens that end a caption, by the model or else by the tokenizer."""
    text = model.config.get_text_config(decoder=True)
    generation = [each.generation_config for each in _generators(model)]
    for places in (generation, [model.config, text], [tokenizer]):
        named = [getattr(place, "eos_token_id", None) for place in places]
        lists = [ids if isinstance(ids, (list, tuple)) else [ids] for ids in named]
        found = dict.fromkeys(int(token) for ids in lists for token in ids if token is not None)
        if found:
            return tuple(found)
    return ()


def plain_generation(model: Any, pad: int) -> Any:
    """Return a generation config without the checkpoint's choices, such as its repetition penalty.

    ``generate`` fills options that a call leaves out from this config.
    """
    given = model.generation_config
    text = model.config.get_text_config(decoder=True)
    options = {name: getattr(given, name, None) for name in MODEL_OPTIONS}
    for name in ("bos_token_id", "decoder_start_token_id"):
        if options[name] is None:
            options[name] = getattr(model.config, name, None) or getattr(text, name, None)
    return transformers.GenerationConfig(**{**options, "pad_token_id": pad})
