"""Two encoders on a device: what passes through them before the heads.

B batch, T tokens, S image tokens, D an encoder's width
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
import transformers
from jaxtyping import Float
from torch import Tensor, nn

from tasks.contract import ModelError
from tasks.interrupt import check_interrupt
from tasks.models.families import FAMILIES, Family, Features, find_family, is_pair
from tasks.models.folders import find_folder
from tasks.models.pooling import Read, all_tokens, first_token, last_token, pooler_output
from tasks.progress import report_progress

#: Of every model, tokenizer and processor: nothing is fetched, and none of its own code is run.
LOCAL = {"local_files_only": True, "trust_remote_code": False}
Array = np.ndarray[Any, Any]
Prepare = Callable[[Sequence[Any]], Mapping[str, Tensor]]

#: How a family's heads read the encoder's output.
READERS: dict[Features, Read] = {
    "first": first_token,
    "last": last_token,
    "pooled": pooler_output,
    "tokens": all_tokens,
}


class Tower(nn.Module):
    """A backbone and how features are read off its output: a dict of tensors -> [B, D]."""

    def __init__(self, backbone: nn.Module, read: Read) -> None:
        super().__init__()
        self.backbone, self.read = backbone, read

    def forward(self, **inputs: Tensor) -> Tensor:
        """Features before the head: [B, D], or [B, S, D] where the head itself pools."""
        return self.read(self.backbone(**inputs), inputs)


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """One modality: from images or captions to features."""

    tower: Tower
    prepare: Prepare  # a batch of RGB images or captions -> what the tower takes
    device: str
    precision: str

    def __call__(
        self, items: Sequence[Any], weights: Mapping[str, Tensor] | None = None
    ) -> Float[Tensor, "B ..."]:
        """Features in float32; with ``weights`` (by the tower's names), of those instead."""
        inputs = {name: value.to(self.device) for name, value in self.prepare(items).items()}
        dtype = getattr(torch, self.precision)
        half = dtype is not torch.float32
        with torch.autocast(self.device.split(":")[0], dtype=dtype, enabled=half):
            if weights is None:
                features = self.tower(**inputs)
            else:
                features = torch.func.functional_call(self.tower, dict(weights), (), inputs)
        return features.float()  # type: ignore[no-any-return]

    @torch.inference_mode()
    def encode(self, items: Sequence[Any]) -> Float[np.ndarray, "B ..."]:
        """Features of the frozen backbone."""
        return np.asarray(self(items).cpu().numpy())


@dataclass(frozen=True, kw_only=True)
class Dual:
    """An image-text model: two encoders, and the heads of its checkpoint where it has them."""

    image: Encoder
    text: Encoder
    heads: Mapping[str, Array]  # "image.weight" [P, D] and so on, as ``heads.py`` reads them

    def widths(self) -> tuple[int, int]:
        """The widths D of image and text features."""
        from PIL import Image

        image = self.image.encode([Image.new("RGB", (64, 64))])
        return image.shape[-1], self.text.encode(["a"]).shape[-1]


def quiet() -> None:
    """Keep transformers from printing: what matters is raised as an error."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


@lru_cache(maxsize=2)
def load_dual(name: str, fingerprint: str, device: str, precision: str) -> Dual:
    """The model, kept warm in this process for the stages that follow.

    Raises:
        ModelError: if it cannot be loaded, or weights that it uses are missing.
    """
    quiet()
    if is_pair(name):
        from tasks.models.pair import load_pair

        return load_pair(name, device, precision)
    return _load_family(name, find_family(name), device, precision)


def load_checked(name: str, loader: Any, used: Callable[[str], bool]) -> Any:
    """``from_pretrained``, refusing a checkpoint that leaves a used weight at random.

    Raises:
        ModelError: naming the first weight that is missing, or why it cannot be loaded.
    """
    try:
        model, info = loader.from_pretrained(
            find_folder(name), **LOCAL, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # what a damaged checkpoint brings a library to raise
        raise _unloadable(name, "it", error) from error
    missing = sorted(key for key in info["missing_keys"] if used(key))
    if missing:
        raise ModelError(
            f"{name} lacks {len(missing)} weights of its {type(model).__name__}, "
            f"{missing[0]} first; it was saved for another task: give a checkpoint of this one"
        )
    return model


def load_beside(name: str, what: str, loader: Any) -> Any:
    """The tokenizer or image processor that lies beside a model's weights.

    Raises:
        ModelError: if it cannot be loaded.
    """
    try:
        return loader.from_pretrained(find_folder(name), **LOCAL)
    except Exception as error:
        raise _unloadable(name, f"its {what}", error) from error


def _unloadable(name: str, what: str, error: Exception) -> ModelError:
    if "trust_remote_code" in str(error):
        return ModelError(
            f"{name} brings code of its own, which is not run; write a factory and give it as "
            "package.module:factory"
        )
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return ModelError(
        f"{name}: {what} cannot be loaded: {first}; copy its files from the original model"
    )


def _load_family(name: str, family: Family, device: str, precision: str) -> Dual:
    encoders = (f"{family.image_encoder}.", f"{family.text_encoder}.")
    heads = (f"{family.image_head}.", f"{family.text_head}.")
    # A BERT has a pooler that retrieval does not read; heads are checked where they are wanted.
    model = load_checked(
        name,
        getattr(transformers, family.model_class),
        lambda key: key.startswith(encoders) and not key.startswith(heads) and "pooler" not in key,
    ).to(device)
    model.eval()
    processor = load_beside(name, "image processor", transformers.AutoImageProcessor)
    tokenizer = load_beside(name, "tokenizer", transformers.AutoTokenizer)
    limit = model.config.text_config.max_position_embeddings
    encoder = partial(Encoder, device=device, precision=precision)
    return Dual(
        image=encoder(
            tower=Tower(model.get_submodule(family.image_encoder), READERS[family.image_features]),
            prepare=partial(prepare_images, processor),
        ),
        text=encoder(
            tower=Tower(model.get_submodule(family.text_encoder), READERS[family.text_features]),
            prepare=partial(prepare_texts, tokenizer, limit, family.pads_to_the_end),
        ),
        heads=_read_heads(model, family),
    )


def _read_heads(model: Any, family: Family) -> dict[str, Array]:
    found = {}
    for side, name in (("image", family.image_head), ("text", family.text_head)):
        head = model.get_submodule(name)
        for part, value in head.state_dict().items():
            found[f"{side}.{part}"] = value.float().cpu().numpy()
        if family is FAMILIES["siglip"] and side == "image":
            # Not weights, but the pooling cannot be computed without them: see ``heads.py``.
            found["image.num_heads"] = np.array(head.attention.num_heads)
            found["image.epsilon"] = np.array(head.layernorm.eps, dtype=np.float64)
    return found


def prepare_images(processor: Any, images: Sequence[Any]) -> dict[str, Tensor]:
    """RGB images as the model's own processor gives them."""
    return {"pixel_values": processor(images=list(images), return_tensors="pt")["pixel_values"]}


def prepare_texts(
    tokenizer: Any, limit: int, pads_to_the_end: bool, texts: Sequence[str]
) -> dict[str, Tensor]:
    """Token ids [B, T], cut at the model's length."""
    tokens = tokenizer(
        list(texts),
        padding="max_length" if pads_to_the_end else True,
        truncation=True,
        max_length=limit,
        return_tensors="pt",
    )
    if pads_to_the_end:
        return {"input_ids": tokens["input_ids"]}
    return {"input_ids": tokens["input_ids"], "attention_mask": tokens["attention_mask"]}


def in_batches(
    encode: Callable[[Sequence[Any]], Array], items: Sequence[Any] | Any, size: int
) -> Array:
    """``encode`` over batches of ``size`` items; rows in order."""
    rows = []
    for first in range(0, len(items), size):
        check_interrupt()
        report_progress(first, len(items))
        rows.append(encode(items[first : first + size]))
    return np.concatenate(rows)
