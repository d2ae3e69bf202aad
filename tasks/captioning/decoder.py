"""Run BLIP's text decoder one token at a time, for many rows that attend to few images.

transformers stores the keys and values of an image once per row. Here the rows of an image share
them, and the self-attention cache is updated in place. ``tests/integration/test_decoding.py``
compares the results with ``generate``.

N images, R rows (sentences), S image tokens, L new tokens, V vocabulary, D width, H heads
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


def _heads(states: Tensor, num_heads: int) -> Tensor:
    """[..., L, D] -> [..., H, L, D / H]."""
    return states.reshape(*states.shape[:-1], num_heads, -1).transpose(-3, -2)


class CrossAttentionCache:
    """The keys and values of encoded images by layer, which all rows of an image share."""

    def __init__(self, decoder: nn.Module, states: Float[Tensor, "N S D"]) -> None:
        self.layers: list[tuple[Tensor, Tensor]] = []
        for layer in _layers(decoder):
            cross = layer.crossattention.self
            num_heads = cross.num_attention_heads
            keys, values = cross.key(states), cross.value(states)
            self.layers.append((_heads(keys, num_heads), _heads(values, num_heads)))

    def keep(self, images: Int[Tensor, " M"]) -> None:
        """Keep only these images, in this order."""
        self.layers = [(keys[images], values[images]) for keys, values in self.layers]


class DecoderState:
    """The state of R unfinished sentences: the image of each, and the attention caches."""

    def __init__(
        self,
        decoder: Any,
        images: CrossAttentionCache,
        image: Int[Tensor, " R"],
        max_length: int,
    ) -> None:
        self._decoder, self._images = decoder, images
        self._max_length = max_length
        self._cache: list[tuple[Tensor, Tensor]] = []  # keys and values of self-attention by layer
        self.length = 0
        self._image = image
        self._arrange()

    def _arrange(self) -> None:
        """Arrange the rows in a grid: a line per image, with a column for each of its rows."""
        num_images = int(self._images.layers[0][0].shape[0])
        order = torch.argsort(self._image, stable=True)
        counts = torch.bincount(self._image, minlength=num_images)
        first = torch.cumsum(counts, 0) - counts
        column = torch.empty_like(self._image)
        column[order] = torch.arange(len(order), device=order.device) - first[self._image[order]]
        self._column, self._num_columns = column, int(counts.max())
        self._is_regular = len(order) == num_images * self._num_columns
        self._num_images = num_images

    def repeat(self, times: int) -> None:
        """Replace each sentence by ``times`` copies in adjacent rows."""
        self._image = self._image.repeat_interleave(times)
        self._cache = [tuple(part.repeat_interleave(times, 0) for part in c) for c in self._cache]  # type: ignore[misc]
        self._arrange()

    def keep(self, rows: Int[Tensor, " Q"]) -> None:
        """Keep only these rows, and only the images that they attend to."""
        images, self._image = torch.unique(self._image[rows], return_inverse=True)
        if len(images) < self._num_images:
            self._images.keep(images)
        self._cache = [(keys[rows], values[rows]) for keys, values in self._cache]
        self._arrange()

    def advance(self, tokens: Int[Tensor, "R L"]) -> Float[Tensor, "R V"]:
        """Read L more tokens of each row and return the logits of the next token."""
        text = self._decoder.bert
        # Not the length of the cache, whose argument transformers 5.24 renamed.
        positions = torch.arange(self.length, self.length + tokens.shape[1], device=tokens.device)
        states = text.embeddings(input_ids=tokens, position_ids=positions[None])
        for number, layer in enumerate(_layers(self._decoder)):
            states = self._attend_to_text(number, layer.attention, states)
            states = self._attend_to_image(number, layer.crossattention, states)
            states = layer.feed_forward_chunk(states)
        self.length += tokens.shape[1]
        logits: Tensor = self._decoder.cls(states[:, -1])
        return logits

    def _attend_to_text(self, number: int, attention: Any, states: Tensor) -> Tensor:
        own = attention.self
        query, key, value = (
            _heads(project(states), own.num_attention_heads)
            for project in (own.query, own.key, own.value)
        )
        before, after = self.length, self.length + states.shape[1]
        if number == len(self._cache):
            shape = (*key.shape[:2], self._max_length, key.shape[-1])
            self._cache.append((key.new_empty(shape), value.new_empty(shape)))
        keys, values = self._cache[number]
        keys[:, :, before:after] = key
        values[:, :, before:after] = value
        causal = states.shape[1] > 1  # only the prompt, which comes first, has several tokens
        assert not causal or before == 0
        mixed = F.scaled_dot_product_attention(
            query, keys[:, :, :after], values[:, :, :after], is_causal=causal
        )
        return attention.output(mixed.transpose(1, 2).flatten(2), states)  # type: ignore[no-any-return]

    def _attend_to_image(self, number: int, attention: Any, states: Tensor) -> Tensor:
        keys, values = self._images.layers[number]  # [N, H, S, D / H]
        query = attention.self.query(states)  # [R, L, D]
        rows, length, width = query.shape
        if self._is_regular and rows == self._num_images:
            grid, order = query[torch.argsort(self._image)], self._image
        else:
            grid = query.new_zeros(self._num_images, self._num_columns, length, width)
            grid[self._image, self._column] = query
            grid, order = grid.flatten(1, 2), None
        heads = _heads(grid, attention.self.num_attention_heads)
        mixed = F.scaled_dot_product_attention(heads, keys, values).transpose(1, 2).flatten(2)
        if order is not None:
            mixed = mixed[order]
        else:
            mixed = mixed.reshape(self._num_images, self._num_columns, length, width)
            mixed = mixed[self._image, self._column]
        return attention.output(mixed, states)  # type: ignore[no-any-return]


def _layers(decoder: Any) -> Any:
    return decoder.bert.encoder.layer
