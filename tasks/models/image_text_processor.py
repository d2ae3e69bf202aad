"""Load the processor of a captioning model, without its video part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import transformers
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

from tasks.models.folders import find_folder, read_json
from tasks.models.loading import load_preprocessor

#: Families whose processor does not write prompts, or that are saved without one.
WITHOUT_PROCESSOR = ("git", "vision-encoder-decoder")


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """A processor (None for ``WITHOUT_PROCESSOR``) with its two parts."""

    processor: Any
    tokenizer: Any
    image_processor: Any


def load_processor(name: str, family: str) -> Preprocessing:
    """Load the processor of a captioning model.

    Raises:
        ModelError: if a part cannot be loaded.
    """
    if family in WITHOUT_PROCESSOR:
        return Preprocessing(
            processor=None,
            tokenizer=load_preprocessor(name, "tokenizer", transformers.AutoTokenizer),
            image_processor=load_preprocessor(
                name, "image processor", transformers.AutoImageProcessor
            ),
        )
    processor = load_preprocessor(name, "processor", _processor_class(name, family))
    return Preprocessing(
        processor=processor,
        tokenizer=processor.tokenizer,
        image_processor=processor.image_processor,
    )


def _processor_class(name: str, family: str) -> Any:
    """Return the class of the processor, without its part for videos, which needs torchvision."""
    file = find_folder(name) / "processor_config.json"
    named = read_json(file).get("processor_class") if file.is_file() else None
    found: Any = getattr(transformers, named or PROCESSOR_MAPPING_NAMES.get(family) or "", None)
    is_processor = isinstance(found, type) and issubclass(found, transformers.ProcessorMixin)
    if not is_processor:
        return transformers.AutoProcessor
    return without_video(found) if "video_processor" in found.get_attributes() else found


def without_video(processor: Any) -> Any:
    """Return a subclass of a processor class that is loaded with None for its video processor."""
    attributes = processor.get_attributes()
    kept = [attribute for attribute in attributes if attribute != "video_processor"]
    get_kept: Any = classmethod(lambda cls: kept)
    parts: Any = type(processor.__name__, (processor,), {"get_attributes": get_kept})

    load_kept = parts._get_arguments_from_pretrained

    def load_parts(cls: Any, *args: Any, **options: Any) -> list[Any]:
        loaded = list(load_kept(*args, **options))  # the options include those of ``LOCAL``
        loaded.insert(attributes.index("video_processor"), None)
        return loaded

    def check(self: Any, name: str, part: Any) -> Any:
        is_missing = name == "video_processor" and part is None
        return None if is_missing else processor.check_argument_for_proper_class(self, name, part)

    methods = {
        "_get_arguments_from_pretrained": classmethod(load_parts),
        "check_argument_for_proper_class": check,
    }
    return type(processor.__name__, (processor,), methods)
