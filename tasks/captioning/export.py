"""Export a captioning model as a Hugging Face folder that decodes as the trial did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers

from tasks.captioning.export_image_text import (
    UNTRAINED,
    common_notes,
    export_image_text,
    generate_options,
)
from tasks.captioning.models import load_model
from tasks.captioning.params import Params
from tasks.contract import Export, Trial
from tasks.models.captioner import Captioner
from tasks.models.saving import find_license, hub_ids, save_folder


def export(trial: Trial, folder: Path) -> Export:
    """Write the model, its tokenizer and processor, and the decoding as a generation config."""
    params: Params = trial.params
    captioner = load_model(trial.model, "cpu", "float32")
    if not isinstance(captioner, Captioner):
        return export_image_text(trial, captioner, folder)
    save_folder(folder, captioner.model, captioner.tokenizer, captioner.processor)
    generation_config(params, captioner).save_pretrained(folder)
    return Export(
        usage=_usage(params, captioner),
        library="transformers",
        pipeline="image-to-text",
        license=find_license(trial.model.name),
        data_license="mit" if trial.data.name == "scenes" else None,  # drawn by this project
        base_models=hub_ids(trial.model.name),
        notes=_notes(params),
    )


def generation_config(params: Params, captioner: Captioner) -> Any:
    """Return the decoding as a config of ``generate``; lengths include the start and the prompt."""
    return transformers.GenerationConfig(
        bos_token_id=captioner.model.config.text_config.bos_token_id,
        eos_token_id=captioner.end,
        pad_token_id=captioner.pad,
        min_length=params.min_length,
        max_length=params.max_length,
        **generate_options(params),
    )


def _notes(params: Params) -> list[str]:
    notes = [
        UNTRAINED,
        "`generation_config.json` contains the decoding. BLIP's `generate` uses the config of its "
        "text decoder, which `from_pretrained` leaves at its defaults; the program below sets it.",
    ]
    if params.prompt:
        notes.append(
            f'Every caption begins with the prompt "{params.prompt}", which is not part of scoring.'
        )
    if params.faithful:
        notes.append(
            "The sweep reproduced two bugs of the lab (faithful): text after the end of a caption, "
            "and prompts cut off by characters. The exported model does not, so its captions get "
            "different scores."
        )
    return notes + common_notes(params)


def _usage(params: Params, captioner: Captioner) -> str:
    prompt = captioner.prompt_ids(params.prompt)
    # `generate` replaces the first token by the start token and drops the last one.
    ids = [*prompt, captioner.end]
    seed = "torch.manual_seed(0)\n" if params.decoding == "sample" else ""
    return f"""import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, BlipForConditionalGeneration

folder = "."  # or the model's id on the Hugging Face Hub
model = BlipForConditionalGeneration.from_pretrained(folder).eval()
model.text_decoder.generation_config = model.generation_config  # the decoder does not load it
processor = AutoImageProcessor.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)

images = [Image.open("photo.jpg").convert("RGB")]
pixels = processor(images=images, return_tensors="pt")["pixel_values"]
prompt = torch.tensor([{ids}] * len(images))  # {_quoted(params.prompt)}
{seed}tokens = model.generate(pixel_values=pixels, input_ids=prompt)
texts = tokenizer.batch_decode(
    tokens[:, {len(prompt)}:], skip_special_tokens=True, clean_up_tokenization_spaces=True
)
captions = [text.strip() for text in texts]
print(captions)
"""


def _quoted(prompt: str) -> str:
    return f"the prompt {prompt!r}" if prompt else "no prompt: the start and end tokens"
