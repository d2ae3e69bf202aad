"""Export a captioning model of any family as a Hugging Face folder, with its decoding."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import transformers

from tasks.captioning.params import FILTER_NAMES, Params
from tasks.contract import Export, Trial
from tasks.models.folders import find_folder
from tasks.models.image_text import ImageTextCaptioner
from tasks.models.saving import find_license, hub_ids

UNTRAINED = (
    "Nothing was trained: these are the base model's weights with the decoding of the sweep."
)
COPIED = (".jinja", ".json", ".model", ".txt")  # files of a processor or tokenizer


def export_image_text(trial: Trial, captioner: ImageTextCaptioner, folder: Path) -> Export:
    """Write the model, its processor's files, and the decoding as a generation config."""
    params: Params = trial.params
    source = find_folder(trial.model.name)
    for file in (*source.iterdir(), *source.glob("*tokenizer/*")):
        is_index = file.name.endswith(".index.json")
        if file.is_file() and file.suffix in COPIED and not is_index:
            target = folder / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    captioner.model.save_pretrained(folder)
    generation_config(params, captioner).save_pretrained(folder)
    return Export(
        usage=_usage(params, captioner),
        library="transformers",
        pipeline="image-to-text" if captioner.processor is None else "image-text-to-text",
        license=find_license(trial.model.name),
        data_license="mit" if trial.data.name == "scenes" else None,  # drawn by this project
        base_models=hub_ids(trial.model.name),
        notes=[UNTRAINED, *_video_notes(captioner), *common_notes(params)],
    )


def generation_config(params: Params, captioner: ImageTextCaptioner) -> Any:
    """Return the decoding as a config of ``generate``; lengths count new tokens."""
    plain = captioner.model.generation_config.to_diff_dict()
    plain.pop("transformers_version", None)
    return transformers.GenerationConfig(
        **plain,
        eos_token_id=list(captioner.ends),
        min_new_tokens=params.min_length,
        max_new_tokens=params.max_length,
        **generate_options(params),
    )


def generate_options(params: Params) -> dict[str, Any]:
    """Return the options of ``generate`` except for lengths and special tokens."""
    options: dict[str, Any] = {
        "num_beams": 1,
        "do_sample": False,
        "repetition_penalty": params.repetition_penalty,
    }
    if params.no_repeat_ngram_size is not None:
        options["no_repeat_ngram_size"] = params.no_repeat_ngram_size
    if params.decoding == "beam":
        options["num_beams"] = params.num_beams
        options["early_stopping"] = bool(params.early_stopping)
        if params.length_penalty is not None:
            options["length_penalty"] = params.length_penalty
    elif params.decoding == "sample":
        del options["num_beams"]
        options |= {
            "do_sample": True,
            "temperature": params.temperature,
            "top_k": params.top_k or 0,  # the default of `generate` is 50
            "top_p": params.top_p or 1.0,
        }
        limits = {name: getattr(params, name) for name in FILTER_NAMES}
        options |= {name: limit for name, limit in limits.items() if limit is not None}
    return options


def common_notes(params: Params) -> list[str]:
    """Return notes on how the captions of an exported model differ from those of the sweep."""
    notes = []
    if params.decoding == "sample":
        notes.append(
            "The sweep used separate random numbers for each image. `generate` uses other ones, so "
            "single captions differ, but their distribution is the same."
        )
    if params.precision != "float32":
        notes.append(
            f"In the sweep the model computed in {params.precision}. The exported weights are "
            "float32, so captions may differ."
        )
    return notes


def _video_notes(captioner: ImageTextCaptioner) -> list[str]:
    if not hasattr(captioner.processor, "video_processor"):
        return []
    return [
        "`AutoProcessor` also loads this family's video processor, which needs torchvision. The "
        "sweep did not use it."
    ]


def _usage(params: Params, captioner: ImageTextCaptioner) -> str:
    seed = "torch.manual_seed(0)\n" if params.decoding == "sample" else ""
    if captioner.processor is None:
        ids = captioner.prompt_ids(params.prompt)
        name = "decoder_input_ids" if captioner.is_encoder_decoder else "input_ids"
        load, inputs, start = (
            "AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer",
            f"""processor = AutoImageProcessor.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
inputs = dict(processor(images=images, return_tensors="pt"))
inputs["{name}"] = torch.tensor([{ids}] * len(images))  # the prompt {params.prompt!r}""",
            f"{len(ids)}",
        )
    else:
        load, inputs, start = (
            "AutoModelForImageTextToText, AutoProcessor",
            f"""processor = AutoProcessor.from_pretrained(folder)
tokenizer = processor.tokenizer
prompt = {captioner.prompt_text(params.prompt)!r}
inputs = processor(
    images=[[image] for image in images],
    text=[prompt] * len(images),
    padding=True,
    padding_side="left",
    return_tensors="pt",
)
inputs.pop("labels", None)""",
            "1" if captioner.is_encoder_decoder else 'inputs["input_ids"].shape[1]',
        )
    inner = hasattr(getattr(captioner.model, "language_model", None), "generate")
    language = (
        "model.language_model.generation_config = model.generation_config  # it generates\n"
        if inner
        else ""
    )
    return f"""import torch
from PIL import Image
from transformers import {load}

folder = "."  # or the model's id on the Hugging Face Hub
model = AutoModelForImageTextToText.from_pretrained(folder).eval()
{language}
images = [Image.open("photo.jpg").convert("RGB")]
{inputs}
{seed}tokens = model.generate(**inputs)
captions = tokenizer.batch_decode(tokens[:, {start}:], skip_special_tokens=True)
print([caption.strip() for caption in captions])
"""
