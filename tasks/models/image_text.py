"""A captioning model that transformers can ``generate`` with: its images, prompts and captions.

N images, T tokens, S image tokens, D the image encoder's width, K rows per image, L layers that get
image features
"""

from __future__ import annotations

import contextlib
import inspect
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling, ModelOutput

from tasks.autocast import autocast
from tasks.models.captioner_families import FEATURE_FAMILIES, IMAGE_ENCODERS

Inputs = Mapping[str, Any]
FLOAT32_BYTES = 4


@dataclass
class ImageFeatures(ModelOutput):  # type: ignore[misc]
    """The features of images, in the form of ``get_image_features``."""

    pooler_output: Any = None
    deepstack_features: Any = None


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
        return autocast(self.device, self.precision)

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the model has a decoder besides the encoder, so that captions start anew."""
        return bool(self.model.config.is_encoder_decoder)

    @property
    def generator(self) -> Any:
        """The model whose layers ``generate`` calls at each step."""
        return generators(self.model)[-1]

    @property
    def cache_bytes(self) -> int:
        """The most bytes that the keys and values of one token take, in all layers of the decoder.

        Rotary embeddings are float32, and autocast lets the keys and values have their precision.
        """
        config = self.model.config.get_text_config(decoder=True)
        num_heads = config.num_attention_heads
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // num_heads
        num_kept = getattr(config, "num_key_value_heads", None) or num_heads
        return int(2 * config.num_hidden_layers * num_kept * head_dim * FLOAT32_BYTES)

    @property
    def has_states(self) -> bool:
        """Whether ``encode`` encodes images, into the same number of tokens each."""
        return self.family in IMAGE_ENCODERS

    @property
    def has_features(self) -> bool:
        """Whether ``encode_features`` encodes images, into a different number of tokens each."""
        return self.family in FEATURE_FAMILIES

    @torch.inference_mode()
    def encode(self, images: Sequence[Any]) -> Float[np.ndarray, "N ..."]:
        """Return the outputs of the image encoder for RGB images, float32."""
        pixels = self.image_processor(images=list(images), return_tensors="pt")["pixel_values"]
        with self.autocast():
            states: Tensor = self._image_encoder()(pixels.to(self.device)).last_hidden_state
        return np.asarray(states.float().cpu().numpy())

    @torch.inference_mode()
    def encode_features(self, images: Sequence[Any]) -> list[Float[np.ndarray, "_ L D"]]:
        """Return what the language model reads of each RGB image [S, L, D], float32."""
        given = self.inputs(images, "")
        model = self.model.base_model
        names = inspect.signature(model.get_image_features).parameters
        with self.autocast():
            found = model.get_image_features(**{n: v for n, v in given.items() if n in names})
        layers = [found.pooler_output, *(getattr(found, "deepstack_features", None) or [])]
        return [
            torch.stack(parts, dim=1).float().cpu().numpy() for parts in zip(*layers, strict=True)
        ]

    def inputs_of_features(
        self, images: Sequence[Any], features: Sequence[Float[Tensor, "_ L D"]], prompt: str
    ) -> Inputs:
        """Return the arguments of ``generate`` for RGB images with their features."""
        given = self.inputs(images, prompt)
        kept = {name: value for name, value in given.items() if not name.startswith("pixel")}
        first, *deeper = zip(*(each.unbind(1) for each in features), strict=True)
        found = ImageFeatures(pooler_output=first, deepstack_features=deeper or None)
        return {**kept, "mm_encoder_outputs": {"image": found}}

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
    def encoded_images(self, states: Float[Tensor, "N ..."]) -> Iterator[None]:
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


def generators(model: Any) -> list[Any]:
    """Return the model, and its language model if that has a ``generate`` of its own.

    BLIP-2 and InstructBLIP encode the images and call the language model's ``generate``.
    """
    inner = getattr(model, "language_model", None)
    return [model, inner] if hasattr(inner, "generate") else [model]
