"""Train the small BLIP that ships with the package: ``python -m tasks.assets.recipe``.

One image encoder and two text models of BLIP's own classes are trained together on ``scenes`` of
style ``pretrain``: a captioner (text_decoder) and a contrastive encoder (text_encoder and the two
projections). Their union is saved as one folder in Hugging Face's format, fp16, so that
``BlipForConditionalGeneration`` and ``BlipForImageTextRetrieval`` both load it as it stands.

Two things make the image encoder see within minutes instead of hours: its position embeddings start
as sines and cosines of the patch's place (Dosovitskiy et al. 2021 learn them; He et al. 2022 start
so), and linear probes on [CLS], thrown away afterwards, are trained to tell the scene's attributes.

B batch, T tokens, S image tokens, D width, A attributes of a scene
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from rich.progress import Progress
from torch import Tensor
from transformers import (
    BertTokenizerFast,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    BlipImageProcessorPil,
    BlipProcessor,
)

from tasks.datasets import scenes
from tasks.datasets.base import Split
from tasks.memory import keep_freed_memory
from tasks.retrieval.ranks import rank_pairs, recalls

SHIPPED = Path(__file__).parent / "blip-scenes"
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
MAX_TOKENS = 24
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PROMPT_WORDS = ("a", "an", "picture", "of", "this", "is", "image", "depicts", "photo", "the")


def vocabulary() -> list[str]:
    """Every word the generator can say in either style, and those of the usual prompts."""
    words = set(PROMPT_WORDS) | set(scenes.COLOURS) | {"on", "background", "ground", "and"}
    for style in ("pretrain", "sweep"):
        words |= set(scenes.GROUNDS[style])
        for options in (scenes.PHRASES, scenes.NOUNS, scenes.SIZES):
            for phrases in options[style].values():
                words |= {word for phrase in phrases for word in phrase.split()}
    return [*SPECIAL, *sorted(words)]


def build_tokenizer(folder: Path) -> BertTokenizerFast:
    """A BERT tokenizer over the vocabulary, saved into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    vocab = {word: index for index, word in enumerate(vocabulary())}
    tokenizer = BertTokenizerFast(vocab=vocab, do_lower_case=True, model_max_length=64)
    tokenizer.save_pretrained(folder)
    return tokenizer


def build_config(tokenizer: BertTokenizerFast) -> BlipConfig:
    """BLIP at small size: 64 px, patch 8, width 128, 4 image and 2 text layers."""
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 128,
        "encoder_hidden_size": 128,
        "intermediate_size": 512,
        "projection_dim": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "sep_token_id": tokenizer.sep_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    vision = {
        "hidden_size": 128,
        "intermediate_size": 512,
        "projection_dim": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "image_size": scenes.SIZE,
        "patch_size": 8,
        "initializer_range": 0.02,  # BLIP's default, 1e-10, starts the image encoder at zero
    }
    return BlipConfig(
        text_config=text, vision_config=vision, projection_dim=128, image_text_hidden_size=64
    )


def load_pixels(split: Split, advance: Any = lambda: None) -> Tensor:
    """All images of a split as uint8 [N, 3, H, W]."""
    images = []
    for index in range(len(split)):
        images.append(np.asarray(split.load(index)))
        advance()
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def normalise(pixels: Tensor) -> Tensor:
    """uint8 [B, 3, H, W] as the image processor gives it."""
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    return (pixels.float() / 255 - mean) / std


#: What a scene can be in each respect, in the order of ``attributes``.
_THING: tuple[tuple[str, ...], ...] = (
    tuple(scenes.COLOURS),
    scenes.SHAPES,
    tuple(scenes.SIZES["pretrain"]),
)
ATTRIBUTES = (*_THING, *_THING, scenes.RELATIONS, tuple(scenes.GROUNDS["pretrain"]))


def attributes(scene: scenes.Scene) -> list[int]:
    """The scene's place in each of ``ATTRIBUTES``."""
    things = [(t.colour, t.shape, t.size) for t in (scene.first, scene.second)]
    values = (*things[0], *things[1], scene.relation, scene.ground)
    return [options.index(value) for options, value in zip(ATTRIBUTES, values, strict=True)]


def sinusoidal_positions(side: int, width: int) -> Tensor:
    """Sines and cosines of a patch's row and column [side * side, width] (He et al. 2022)."""
    frequency = 10_000 ** -(torch.arange(width // 4) / (width // 4))
    angle = torch.arange(side)[:, None] * frequency
    one = torch.cat([angle.sin(), angle.cos()], dim=1)  # [side, width / 2]
    rows, columns = one.repeat_interleave(side, 0), one.repeat(side, 1)
    return torch.cat([rows, columns], dim=1)


class Learner:
    """The captioner and the retrieval model, sharing one image encoder."""

    def __init__(self, config: BlipConfig) -> None:
        torch.manual_seed(0)
        self.captioner = BlipForConditionalGeneration(config)
        vision = config.vision_config
        self.probes = torch.nn.Linear(vision.hidden_size, sum(map(len, ATTRIBUTES)))
        places = sinusoidal_positions(vision.image_size // vision.patch_size, vision.hidden_size)
        with torch.no_grad():  # half as strong as a patch's own content
            self.captioner.vision_model.embeddings.position_embedding[0, 1:] = places / 2
        self.retrieval = BlipForImageTextRetrieval(config)
        self.retrieval.vision_model = self.captioner.vision_model
        self.log_scale = torch.nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def parameters(self) -> list[torch.nn.Parameter]:
        """Every trained parameter, once."""
        models = (self.captioner, self.retrieval, self.probes)
        unique = {id(p): p for model in models for p in model.parameters()}
        return [*unique.values(), self.log_scale]

    def image_states(self, pixels: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, S, D]."""
        return self.captioner.vision_model(pixel_values=pixels).last_hidden_state  # type: ignore[no-any-return]

    def embed_images(self, states: Tensor) -> Tensor:
        """[B, S, D] -> unit vectors [B, 64]."""
        return F.normalize(self.retrieval.vision_proj(states[:, 0]), dim=-1)

    def embed_texts(self, ids: Tensor, mask: Tensor) -> Tensor:
        """[B, T] -> unit vectors [B, 64]."""
        states = self.retrieval.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return F.normalize(self.retrieval.text_proj(states[:, 0]), dim=-1)

    def losses(
        self, pixels: Tensor, ids: Tensor, mask: Tensor, truth: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Captioning, contrastive and attribute loss of a batch; ``truth`` is [B, A]."""
        states = self.image_states(pixels)
        labels = ids.masked_fill(mask == 0, -100)
        logits = self.captioner.text_decoder(
            input_ids=ids, attention_mask=mask, encoder_hidden_states=states
        ).logits
        captioning = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        scale = self.log_scale.clamp(max=math.log(100)).exp()
        images, texts = self.embed_images(states), self.embed_texts(ids, mask)
        similarity = scale * images.float() @ texts.float().T
        target = torch.arange(len(ids))
        contrastive = F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)
        told = self.probes(states[:, 0]).float().split([len(a) for a in ATTRIBUTES], dim=1)
        probing = [F.cross_entropy(each, truth[:, k]) for k, each in enumerate(told)]
        return captioning, contrastive / 2, torch.stack(probing).mean()

    def save(self, folder: Path, tokenizer: BertTokenizerFast) -> None:
        """The union of both models' weights, fp16, beside tokenizer and processor."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {**self.retrieval.state_dict(), **self.captioner.state_dict()}
        shared: dict[int, str] = {}
        half = {}
        for name, tensor in state.items():
            if not tensor.is_floating_point() or name.startswith("itm_head"):
                continue  # the matching head is not trained here, and nothing reads it
            if tensor.data_ptr() in shared:
                continue  # tied to one already kept
            shared[tensor.data_ptr()] = name
            half[name] = tensor.half().contiguous()
        safetensors.torch.save_file(half, folder / "model.safetensors", metadata={"format": "pt"})
        config = self.captioner.config
        config.architectures = ["BlipForConditionalGeneration"]
        config.dtype = torch.float32
        config.save_pretrained(folder)
        self.captioner.generation_config.save_pretrained(folder)
        size = {"height": scenes.SIZE, "width": scenes.SIZE}
        images = BlipImageProcessorPil(size=size, image_mean=list(MEAN), image_std=list(STD))
        BlipProcessor(images, tokenizer).save_pretrained(folder)


def batches(number: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray[Any, Any]]:
    """Indices of one epoch, whole batches only."""
    order = rng.permutation(number)
    for first in range(0, number - size + 1, size):
        yield order[first : first + size]


def train(
    folder: Path,
    *,
    epochs: int,
    num_scenes: int,
    batch: int = 128,
    lr: float = 2e-3,
    precision: str = "bfloat16",
) -> list[float]:
    """Train and save; the mean total loss of each epoch."""
    began = time.perf_counter()
    tokenizer = build_tokenizer(folder)
    split = scenes.load_split("train", "pretrain")
    number = min(num_scenes, len(split))
    curve = []
    with Progress() as progress:
        drawing = progress.add_task("drawing", total=len(split))
        pixels = load_pixels(split, lambda: progress.advance(drawing))[:number]
        captions = split.captions[:number]
        truth = torch.tensor(
            [attributes(scenes.describe(i, "train", "pretrain")) for i in range(number)]
        )
        learner = Learner(build_config(tokenizer))
        learner.captioner.train()
        learner.retrieval.train()
        optimiser = torch.optim.AdamW(learner.parameters(), lr=lr, weight_decay=0.02, fused=True)
        per_epoch = number // batch
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, lr, total_steps=epochs * per_epoch, pct_start=0.1
        )
        bar = progress.add_task("training", total=epochs * per_epoch)
        for epoch in range(epochs):
            rng = np.random.default_rng([0, epoch])
            total = 0.0
            for chosen in batches(number, batch, rng):
                texts = [captions[i][rng.integers(len(captions[i]))] for i in chosen]
                encoded = tokenizer(texts, padding=True, return_tensors="pt")
                ids, mask = encoded["input_ids"], encoded["attention_mask"]
                with torch.autocast("cpu", getattr(torch, precision)):
                    parts = learner.losses(normalise(pixels[chosen]), ids, mask, truth[chosen])
                captioning, contrastive, probing = parts
                loss = captioning + contrastive + 2 * probing
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                total += loss.item()
                progress.update(
                    bar,
                    advance=1,
                    description=f"training: caption {captioning:.2f}, contrast {contrastive:.2f}, "
                    f"attributes {probing:.2f}",
                )
            curve.append(total / per_epoch)
            progress.print(f"epoch {epoch + 1}: loss {curve[-1]:.3f}")
    learner.save(folder, tokenizer)
    scores = measure(folder) | {
        "training_seconds": round(time.perf_counter() - began, 1),
        "epochs": epochs,
        "scenes": number,
        "generator": scenes.fingerprint(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }
    (folder / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    print(json.dumps(scores, indent=2))
    return curve


@torch.inference_mode()
def measure(folder: Path) -> dict[str, float]:
    """Recalls and greedy BLEU-4 on 500 held-out scenes of style ``pretrain``."""
    from transformers import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    retrieval = BlipForImageTextRetrieval.from_pretrained(folder).eval()
    captioner = BlipForConditionalGeneration.from_pretrained(folder).eval()
    processor = BlipProcessor.from_pretrained(folder)
    split = scenes.load_split("val", "pretrain")
    images = [split.load(i) for i in range(len(split))]
    pixels = processor(images=images, return_tensors="pt")["pixel_values"]
    states = retrieval.vision_model(pixel_values=pixels).last_hidden_state
    image = F.normalize(retrieval.vision_proj(states[:, 0]), dim=-1)
    flat = [c for captions in split.captions for c in captions]
    tokens = processor.tokenizer(flat, padding=True, return_tensors="pt")
    hidden = retrieval.text_encoder(
        input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
    ).last_hidden_state
    text = F.normalize(retrieval.text_proj(hidden[:, 0]), dim=-1)
    owner = np.arange(len(split)).repeat(5)
    recalled = recalls(*rank_pairs(image.numpy(), text.numpy(), owner))
    ids = captioner.generate(pixel_values=pixels, max_new_tokens=MAX_TOKENS, do_sample=False)
    said = processor.batch_decode(ids, skip_special_tokens=True)
    one = [[captions[0] for captions in split.captions]]
    five = [[captions[k] for captions in split.captions] for k in range(5)]
    return {
        **{name: round(recalled[name], 4) for name in ("i2t_r1", "i2t_r5", "t2i_r1", "t2i_r5")},
        "bleu4_one_reference": round(_bleu(said, one), 2),
        "bleu4_five_references": round(_bleu(said, five), 2),
    }


def _bleu(said: list[str], references: list[list[str]]) -> float:
    import sacrebleu

    metric = sacrebleu.BLEU(tokenize="none", smooth_method="none", lowercase=True)
    return float(metric.corpus_score(said, references).score)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=SHIPPED, help="folder to write")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument(
        "--precision",
        choices=("bfloat16", "float32"),
        default="bfloat16",
        help="float32 is faster where the processor has no bfloat16 instructions",
    )
    parser.add_argument("--scenes", type=int, default=8000, help="scenes to train on, at most 8000")
    options = parser.parse_args()
    keep_freed_memory()
    train(
        options.out,
        epochs=options.epochs,
        num_scenes=options.scenes,
        precision=options.precision,
    )


if __name__ == "__main__":
    main()
