"""Read the prompt and the image once for all rows of an image, instead of once per row.

N images, K rows per image, R = N K rows, in the order of the images
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor


@contextlib.contextmanager
def shared_prompt(model: Any, num_rows: int, rows_per_image: int) -> Iterator[None]:
    """Let the first call of the model run on one row per image, and repeat its result.

    In ``generate``, the first call reads the image and the prompt, which are equal for all rows of
    an image. All later calls are unchanged.
    """
    original = model.forward

    @functools.wraps(original)  # ``generate`` looks at the names of the arguments
    def forward(*args: Any, **options: Any) -> Any:
        del model.forward  # which hid the method of the class
        options = {
            name: _one_per_image(value, num_rows, rows_per_image) for name, value in options.items()
        }
        output = original(*args, **options)
        output.logits = output.logits.repeat_interleave(rows_per_image, dim=0)
        output.past_key_values.batch_repeat_interleave(rows_per_image)
        return output

    if rows_per_image > 1:
        model.forward = forward
    try:
        yield
    finally:
        vars(model).pop("forward", None)


def _one_per_image(value: Any, num_rows: int, step: int) -> Any:
    """Keep every K-th row of tensors with R rows, also inside of lists and outputs."""
    if isinstance(value, Tensor):
        if value.ndim and value.shape[0] == num_rows:
            return value[::step].contiguous()
        if value.ndim == 3 and value.shape[1] == num_rows:  # positions in time, height and width
            return value[:, ::step].contiguous()
        return value
    if isinstance(value, (list, tuple)):
        part = value[::step] if len(value) == num_rows else value
        return type(value)(_one_per_image(each, num_rows, step) for each in part)
    if isinstance(value, Mapping):  # an output of transformers is one, too
        for name, each in list(value.items()):
            value[name] = _one_per_image(each, num_rows, step)  # type: ignore[index]
    return value
