"""Programs for model cards, which show how to use exported models."""

from __future__ import annotations

from tasks.models.families import FAMILIES, Family
from tasks.models.texts import TextPreparation
from tasks.retrieval.params import Params

_SCORES = {
    "blip": """
    scores = model(
        input_ids=tokens["input_ids"],
        attention_mask=tokens["attention_mask"],
        pixel_values=pixels,
        use_itm_head=False,
    ).itm_score  # [images, captions], cosine similarities
print(scores)
""",
    "clip": """
    scores = model(
        input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], pixel_values=pixels
    ).logits_per_image  # [images, captions], cosine similarities / temperature
print(scores.softmax(-1))
""",
    "siglip": """
    scores = model(input_ids=tokens["input_ids"], pixel_values=pixels).logits_per_image
print(scores.sigmoid())  # [images, captions]
""",
    "siglip2": """
    scores = model(input_ids=tokens["input_ids"], **pixels).logits_per_image
print(scores.sigmoid())  # [images, captions]
""",
}
_SCORES["metaclip_2"] = _SCORES["clip"]


def family_usage(family: Family, texts: TextPreparation, params: Params) -> str:
    """Return the program for a folder that ``from_pretrained`` loads."""
    kind = next(name for name, each in FAMILIES.items() if each is family)
    scores = _SCORES[kind]
    if params.epochs and params.loss != "sigmoid":  # then a sigmoid is not calibrated
        scores = scores.replace(".sigmoid()", ".softmax(-1)")
    pixels = "" if kind == "siglip2" else '["pixel_values"]'  # NaFlex takes several inputs
    return f"""import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, {family.model_class}

folder = "."  # or the model's id on the Hugging Face Hub
model = {family.model_class}.from_pretrained(folder).eval()
processor = AutoImageProcessor.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)

images = [Image.open("photo.jpg").convert("RGB")]
captions = ["a red circle above a blue square", "a dog in the snow"]
pixels = processor(images=images, return_tensors="pt"){pixels}
{tokenize(texts)}with torch.inference_mode():{scores}"""


def tokenize(texts: TextPreparation) -> str:
    """Return the lines that turn ``captions`` into ``tokens`` as in the trial."""
    listed = "[caption.lower() for caption in captions]" if texts.lower_case else "captions"
    length = f"truncation=True, max_length={texts.truncated_length}"
    if texts.pads_separately:
        return f"""tokens = tokenizer({listed}, {length})
tokens = tokenizer.pad(
    tokens, padding="max_length", max_length={texts.max_length}, return_tensors="pt"
)
"""
    padding = '"max_length"' if texts.pads_to_max_length else "True"
    return f"""tokens = tokenizer(
    {listed}, padding={padding}, {length}, return_tensors="pt"
)
"""


LOADER_USAGE = """from PIL import Image

from load import load

image, text = load()
images = [Image.open("photo.jpg").convert("RGB")]
captions = ["a red circle above a blue square", "a dog in the snow"]
scores = image(images) @ text(captions).T  # [images, captions], cosine similarities
print(scores)
"""
