"""Train a small BLIP captioner on real photos: ``python -m benchmarks.flickr8k_captioner PHOTOS``.

PHOTOS is Flickr8k in Karpathy's layout, and ``--tokenizer`` is a folder with the tokenizer of BERT,
which BLIP uses. The model is small enough to train in about ten minutes on two cores. Its captions
are simple, but they are real language about real photos. The captioning sweep runs on it as on a
checkpoint from the Hub:

    python -m orchestrator sweep captioning --model FOLDER --data karpathy:PHOTOS --set split=test

To try it in seconds, add ``--limit 50 --epochs 1``.

B batch, T tokens
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import Progress
from torch import Tensor
from transformers import (
    BertTokenizerFast,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessorPil,
    BlipProcessor,
)

from benchmarks.photos import reduce_photos
from tasks.assets.recipe import sinusoidal_positions
from tasks.datasets.registry import load_split
from tasks.memory import keep_freed_memory

SIZE, PATCH, WIDTH = 96, 16, 192
START, END, PAD = 30522, 102, 0  # [DEC], which BLIP adds to BERT's vocabulary, [SEP], [PAD]
MEAN, STD = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)
MAX_TOKENS = 32


def _batches(number: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the indices of the batches of one epoch, without an incomplete last batch."""
    order = rng.permutation(number)
    for first in range(0, number - size + 1, size):
        yield order[first : first + size]


def build_model() -> BlipForConditionalGeneration:
    """Return a BLIP with 4 image and 2 text layers of width 192, and dropout 0.1 in the decoder."""
    common = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": 6}
    text = common | {
        "vocab_size": 30524,
        "encoder_hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "max_position_embeddings": 64,
        "bos_token_id": START,
        "eos_token_id": 2,
        "sep_token_id": END,
        "pad_token_id": PAD,
        "hidden_dropout_prob": 0.1,
    }
    vision = common | {
        "num_hidden_layers": 4,
        "image_size": SIZE,
        "patch_size": PATCH,
        "initializer_range": 0.02,
    }
    torch.manual_seed(0)
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=vision))
    with torch.no_grad():
        positions = sinusoidal_positions(SIZE // PATCH, WIDTH) / 2
        model.vision_model.embeddings.position_embedding[0, 1:] = positions
    return model


def load_pixels(photos: Any, resize: int) -> Tensor:
    """Load all photos as uint8 [N, 3, resize, resize]."""
    images = [np.asarray(photos.load(i).resize((resize, resize))) for i in range(len(photos))]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def crop(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Return random crops of size SIZE, flipped with probability 0.5 and normalized."""
    slack = pixels.shape[-1] - SIZE
    rows = []
    for image in pixels:
        top, left = rng.integers(slack + 1, size=2)
        part = image[:, top : top + SIZE, left : left + SIZE]
        rows.append(part.flip(-1) if rng.random() < 0.5 else part)
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    return (torch.stack(rows).float() / 255 - mean) / std


def loss_of(model: Any, pixels: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Return the cross-entropy of the next tokens of captions [B, T], with label smoothing 0.1."""
    states = model.vision_model(pixel_values=pixels).last_hidden_state
    hidden = model.text_decoder.bert(
        input_ids=ids, attention_mask=mask, encoder_hidden_states=states, is_decoder=True
    ).last_hidden_state
    is_token = mask[:, 1:].bool()
    logits = model.text_decoder.cls(hidden[:, :-1][is_token])
    return F.cross_entropy(logits.float(), ids[:, 1:][is_token], label_smoothing=0.1)


def train(photos: Path, tokenizer_folder: Path, out: Path, epochs: int, batch: int) -> None:
    """Train the model and save it in Hugging Face's format."""
    tokenizer = BertTokenizerFast.from_pretrained(tokenizer_folder)
    split = load_split(f"karpathy:{photos}", "train")
    model = build_model()
    per_epoch = len(split) // batch * 5
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 1e-3, total_steps=epochs * per_epoch, pct_start=0.1
    )
    pairs = [(image, text) for image, texts in enumerate(split.captions) for text in texts[:5]]
    pixels = load_pixels(split, SIZE + 12)
    with Progress() as progress:
        bar = progress.add_task("training", total=epochs * per_epoch)
        for epoch in range(epochs):
            rng = np.random.default_rng([0, epoch])
            for number, chosen in enumerate(_batches(len(pairs), batch, rng)):
                if number == per_epoch:
                    break
                texts = [pairs[i][1] for i in chosen]
                encoded = tokenizer(
                    texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
                )
                ids, mask = encoded["input_ids"], encoded["attention_mask"]
                ids[:, 0] = START
                images = crop(pixels[[pairs[i][0] for i in chosen]], rng)
                with torch.autocast("cpu", torch.bfloat16):
                    loss = loss_of(model, images, ids, mask)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                progress.update(bar, advance=1, description=f"training: loss {loss.item():.2f}")
            progress.print(f"epoch {epoch + 1}: loss {loss.item():.3f}")
    model.save_pretrained(out)
    size = {"height": SIZE, "width": SIZE}
    processor = BlipImageProcessorPil(size=size, image_mean=list(MEAN), image_std=list(STD))
    BlipProcessor(processor, tokenizer).save_pretrained(out)


def main() -> None:
    """Train a captioner with the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path, help="Flickr8k in Karpathy's layout")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of BERT's tokenizer")
    parser.add_argument("--out", type=Path, default=Path("runs-flickr8k/captioner"))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--limit", type=int, help="use only this many photos of each split")
    options = parser.parse_args()
    keep_freed_memory()
    start = time.perf_counter()
    photos = reduce_photos(options.photos, options.out.parent, options.limit)
    train(photos, options.tokenizer, options.out, options.epochs, options.batch)
    print(f"trained in {time.perf_counter() - start:.0f} s; saved to {options.out}")


if __name__ == "__main__":
    main()
