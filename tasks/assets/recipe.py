"""Train the small BLIP that ships with the package: ``python -m tasks.assets.recipe``.

An image encoder and two text models, all classes of BLIP, train together on an endless stream of
``scenes`` of style ``pretrain``, as in Li et al. 2022. One text model is a captioner
(text_decoder). The other is a text encoder with two losses: contrastive (through the two
projections) and matching (with attention to the image, the matching head and hard negatives). No
image is used twice. All weights are saved as one Hugging Face folder, fp16, which both
``BlipForConditionalGeneration`` and ``BlipForImageTextRetrieval`` load unchanged.

Two things let the image encoder learn within minutes instead of hours. Its position embeddings are
initialized with sines and cosines of the patch's position, as in He et al. 2022 (Dosovitskiy et al.
2021 learn them). And linear probes on [CLS], dropped after training, predict the attributes of the
scene.

B batch, T tokens, S image tokens, D width, A attributes of a scene
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import platform
import time
from pathlib import Path
from typing import Any

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
from tasks.datasets.scenes import words, world
from tasks.memory import keep_freed_memory
from tasks.retrieval.ranks import rank_pairs, recalls

SHIPPED = Path(__file__).parent / "blip-scenes"
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
MAX_TOKENS = 28
MATCHED = 32  # pairs of a batch that the matching loss uses while all losses are trained
STEPS, MATCHING_STEPS = 2600, 450  # under 30 minutes on two cores
HARDNESS = 0.05  # temperature of the similarities that hard negatives are sampled from
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def vocabulary() -> list[str]:
    """Return BERT's special tokens and every word that a caption or a usual prompt can contain."""
    return [*SPECIAL, *sorted(words.vocabulary())]


def build_tokenizer(folder: Path) -> BertTokenizerFast:
    """Create a BERT tokenizer for the vocabulary and save it into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    vocab = {word: index for index, word in enumerate(vocabulary())}
    tokenizer = BertTokenizerFast(vocab=vocab, do_lower_case=True, model_max_length=64)
    tokenizer.save_pretrained(folder)
    return tokenizer


def build_config(tokenizer: BertTokenizerFast) -> BlipConfig:
    """Configure a small BLIP: 64 px, patch 8, width 128, 4 image and 2 text layers."""
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
        "initializer_range": 0.02,  # with BLIP's default, 1e-10, the image encoder starts at zero
    }
    return BlipConfig(
        text_config=text, vision_config=vision, projection_dim=128, image_text_hidden_size=64
    )


def normalize(pixels: Tensor) -> Tensor:
    """Normalize images uint8 [B, 3, H, W] as the image processor does."""
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    return (pixels.float() / 255 - mean) / std


#: The possible values of a group's attributes, and then of all attributes of a scene.
_GROUP: tuple[tuple[object, ...], ...] = (
    tuple(world.COLORS),
    world.SHAPES,
    world.SIZES,
    world.COUNTS,
)
ATTRIBUTES = (*_GROUP, *_GROUP, world.RELATIONS, tuple(world.GROUNDS["pretrain"]))


def attributes(scene: scenes.Scene) -> list[int]:
    """Return the index of the scene's value in each of ``ATTRIBUTES``."""
    groups = [(g.color, g.shape, g.size, g.count) for g in (scene.first, scene.second)]
    values = (*groups[0], *groups[1], scene.relation, scene.ground)
    return [options.index(value) for options, value in zip(ATTRIBUTES, values, strict=True)]


class Stream(torch.utils.data.Dataset[tuple[Tensor, str, str, Tensor]]):
    """The first scenes of the stream: pixels uint8 [3, H, W], two captions, attributes [A]."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Tensor, str, str, Tensor]:
        pixels, (caption, other), scene = scenes.pretraining_scene(index)
        image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
        return image, caption, other, torch.tensor(attributes(scene))


def sinusoidal_positions(side: int, width: int) -> Tensor:
    """Return position embeddings [side * side, width] of rows and columns (He et al. 2022)."""
    frequency = 10_000 ** -(torch.arange(width // 4) / (width // 4))
    angle = torch.arange(side)[:, None] * frequency
    one = torch.cat([angle.sin(), angle.cos()], dim=1)  # [side, width / 2]
    rows, columns = one.repeat_interleave(side, 0), one.repeat(side, 1)
    return torch.cat([rows, columns], dim=1)


class Learner:
    """The captioner and the retrieval model, which share one image encoder."""

    def __init__(self, config: BlipConfig) -> None:
        torch.manual_seed(0)
        self.captioner = BlipForConditionalGeneration(config)
        vision = config.vision_config
        self.probes = torch.nn.Linear(vision.hidden_size, sum(map(len, ATTRIBUTES)))
        positions = sinusoidal_positions(vision.image_size // vision.patch_size, vision.hidden_size)
        with torch.no_grad():  # half as strong as a patch's own content
            self.captioner.vision_model.embeddings.position_embedding[0, 1:] = positions / 2
        self.retrieval = BlipForImageTextRetrieval(config)
        self.retrieval.vision_model = self.captioner.vision_model
        self.log_scale = torch.nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @classmethod
    def load(cls, folder: Path) -> Learner:
        """Load the saved models. The probes and the contrastive scale are not saved."""
        learner = cls(BlipConfig.from_pretrained(folder))
        learner.captioner = BlipForConditionalGeneration.from_pretrained(folder)
        learner.retrieval = BlipForImageTextRetrieval.from_pretrained(folder)
        learner.retrieval.vision_model = learner.captioner.vision_model
        return learner

    def parameters(self) -> list[torch.nn.Parameter]:
        """Return every trained parameter once."""
        models = (self.captioner, self.retrieval, self.probes)
        unique = {id(p): p for model in models for p in model.parameters()}
        return [*unique.values(), self.log_scale]

    def image_states(self, pixels: Tensor) -> Tensor:
        """Encode images: [B, 3, H, W] -> [B, S, D]."""
        return self.captioner.vision_model(pixel_values=pixels).last_hidden_state  # type: ignore[no-any-return]

    def embed_images(self, states: Tensor) -> Tensor:
        """Project encoded images: [B, S, D] -> unit vectors [B, 64]."""
        return F.normalize(self.retrieval.vision_proj(states[:, 0]), dim=-1)

    def embed_texts(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encode and project texts: [B, T] -> unit vectors [B, 64]."""
        states = self.retrieval.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return F.normalize(self.retrieval.text_proj(states[:, 0]), dim=-1)

    def losses(
        self, pixels: Tensor, all_ids: Tensor, all_masks: Tensor, truth: Tensor
    ) -> list[Tensor]:
        """Return the captioning, contrastive, matching and attribute losses.

        ``all_ids`` [2B, T] holds one caption of each image, then a second one of each, which only
        the contrastive loss uses. ``truth`` [B, A] holds the attributes.
        """
        states = self.image_states(pixels)
        ids, mask = all_ids[: len(pixels)], all_masks[: len(pixels)]
        labels = ids.masked_fill(mask == 0, -100)
        logits = self.captioner.text_decoder(
            input_ids=ids, attention_mask=mask, encoder_hidden_states=states
        ).logits
        captioning = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        scale = self.log_scale.clamp(max=math.log(100)).exp()
        images, texts = self.embed_images(states), self.embed_texts(all_ids, all_masks)
        target = torch.arange(len(ids))
        both = [scale * images.float() @ part.float().T for part in texts.chunk(2)]
        contrastive = torch.stack(
            [F.cross_entropy(rows, target) for each in both for rows in (each, each.T)]
        ).mean()
        matching = self.matching_loss(states, ids, mask, both[0].detach())
        logits = self.probes(states[:, 0]).float().split([len(a) for a in ATTRIBUTES], dim=1)
        probing = [F.cross_entropy(each, truth[:, k]) for k, each in enumerate(logits)]
        return [captioning, contrastive, matching, torch.stack(probing).mean()]

    def match(self, states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Return logits [B, 2] of "no" and "yes": does each text [B, T] fit its image [B, S, D]?"""
        fused = self.retrieval.text_encoder(
            input_ids=ids, attention_mask=mask, encoder_hidden_states=states
        ).last_hidden_state
        return self.retrieval.itm_head(fused[:, 0])  # type: ignore[no-any-return]

    def matching_loss(
        self, states: Tensor, ids: Tensor, mask: Tensor, similarity: Tensor, number: int = MATCHED
    ) -> Tensor:
        """Return the matching loss of the first ``number`` pairs and of hard negatives.

        Each text is paired with a hard image and each image with a hard text, sampled by the
        softmax of their similarities (Li et al. 2021, sec. 3.2). An image with the same text is
        not a negative.
        """
        rows = torch.arange(min(number, len(ids)))
        same = (ids[:, None] == ids[None]).all(-1)
        weights = similarity.masked_fill(same, -torch.inf)
        images = weights.T.softmax(-1)[rows].multinomial(1)[:, 0]
        texts = weights.softmax(-1)[rows].multinomial(1)[:, 0]
        logits = self.match(
            states[torch.cat([rows, images, rows])],
            ids[torch.cat([rows, rows, texts])],
            mask[torch.cat([rows, rows, texts])],
        )
        target = torch.zeros(len(logits), dtype=torch.long)
        target[: len(rows)] = 1
        return F.cross_entropy(logits.float(), target)

    def save(self, folder: Path, tokenizer: BertTokenizerFast) -> None:
        """Save the weights of both models in fp16, with the tokenizer and the image processor."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {**self.retrieval.state_dict(), **self.captioner.state_dict()}
        shared: dict[int, str] = {}
        half = {}
        for name, tensor in state.items():
            if not tensor.is_floating_point():
                continue
            if tensor.data_ptr() in shared:
                continue  # tied to a weight that is saved already
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


def train(
    folder: Path,
    *,
    steps: int,
    batch: int = 128,
    lr: float = 2e-3,
    precision: str = "bfloat16",
    workers: int = 2,
) -> list[float]:
    """Train all losses on ``steps`` batches of new scenes, save, and return each step's loss."""
    tokenizer = build_tokenizer(folder)
    learner = Learner(build_config(tokenizer))
    learner.captioner.train()
    learner.retrieval.train()
    optimizer = torch.optim.AdamW(learner.parameters(), lr=lr, weight_decay=0.02, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.1)
    loader = torch.utils.data.DataLoader(Stream(steps * batch), batch, num_workers=workers)
    curve = []
    with Progress() as progress:
        bar = progress.add_task("training", total=steps)
        for number, (pixels, captions, others, truth) in enumerate(loader, 1):
            encoded = tokenizer([*captions, *others], padding=True, return_tensors="pt")
            with torch.autocast("cpu", getattr(torch, precision)):
                parts = learner.losses(
                    normalize(pixels), encoded["input_ids"], encoded["attention_mask"], truth
                )
            captioning, contrastive, matching, probing = parts
            loss = captioning + contrastive + matching + 2 * probing
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            curve.append(loss.item())
            names = ("caption", "contrast", "match", "attributes")
            line = ", ".join(f"{n} {p:.2f}" for n, p in zip(names, parts, strict=True))
            progress.update(bar, advance=1, description=line)
            if number % 500 == 0 or number == steps:
                progress.print(f"step {number}: {line}")
    learner.save(folder, tokenizer)
    return curve


def train_matching(
    folder: Path,
    *,
    first: int,
    steps: int,
    batch: int = 128,
    lr: float = 4e-3,
    precision: str = "bfloat16",
    workers: int = 2,
) -> list[float]:
    """Train the weights that only matching uses, save, and return each step's loss.

    With hard negatives, the matching loss stays at chance until the text encoder attends to
    images; trained together with the other losses, it never left chance. BLIP's encoder and decoder
    share their cross-attention (Li et al. 2022, sec. 3.2), so the encoder's is initialized from the
    decoder's. All other weights are frozen, so embeddings and captions do not change.
    """
    learner = Learner.load(folder)
    encoder, decoder = learner.retrieval.text_encoder, learner.captioner.text_decoder.bert
    for parameter in learner.parameters():
        parameter.requires_grad_(False)
    trained = list(learner.retrieval.itm_head.parameters())
    for mine, other in zip(encoder.encoder.layer, decoder.encoder.layer, strict=True):
        mine.crossattention.load_state_dict(other.crossattention.state_dict())
        trained += mine.crossattention.parameters()
    for parameter in trained:
        parameter.requires_grad_(True)
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    optimizer = torch.optim.AdamW(trained, lr=lr, weight_decay=0.02, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.1)
    stream = torch.utils.data.Subset(
        Stream(first + steps * batch), range(first, first + steps * batch)
    )
    curve = []
    loader = torch.utils.data.DataLoader(stream, batch, num_workers=workers)
    for number, (pixels, captions, _, _) in enumerate(loader, 1):
        encoded = tokenizer(list(captions), padding=True, return_tensors="pt")
        ids, mask = encoded["input_ids"], encoded["attention_mask"]
        with torch.autocast("cpu", getattr(torch, precision)):
            with torch.no_grad():
                states = learner.image_states(normalize(pixels))
                similarity = learner.embed_images(states) @ learner.embed_texts(ids, mask).T
            loss = learner.matching_loss(
                states, ids, mask, similarity.float() / HARDNESS, batch // 2
            )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        curve.append(loss.item())
        if number % 100 == 0 or number == steps:
            print(f"matching step {number}: {sum(curve[-50:]) / len(curve[-50:]):.3f}", flush=True)
    learner.save(folder, tokenizer)
    return curve


def build(folder: Path, *, steps: int, matching_steps: int, **options: Any) -> dict[str, Any]:
    """Train the model, write ``scores.json``, and return its content."""
    start = time.perf_counter()
    batch = options.get("batch", 128)
    train(folder, steps=steps, **options)
    train_matching(folder, first=steps * batch, steps=matching_steps, **options)
    seconds = time.perf_counter() - start
    scores = {
        **measure(folder),
        "training_seconds": round(seconds, 1),
        "steps": steps,
        "matching_steps": matching_steps,
        "scenes": (steps + matching_steps) * batch,
        "generator": scenes.fingerprint(),
        "weights": hash_weights(folder),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }
    (folder / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    return scores


def hash_weights(folder: Path) -> str:
    """Return the SHA-256 of the weight file."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@torch.inference_mode()
def measure(folder: Path, number: int = 1449) -> dict[str, float]:
    """Measure recalls, matching accuracy and greedy BLEU-4 on val scenes of style ``pretrain``.

    Recalls are over ``number`` images, with all captions and with the first of each image. The
    matching accuracy is the fraction of images whose own caption fits better than that of another
    image: a fixed other one, or the most similar by the contrastive score.
    """
    from transformers import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    retrieval = BlipForImageTextRetrieval.from_pretrained(folder).eval()
    captioner = BlipForConditionalGeneration.from_pretrained(folder).eval()
    processor = BlipProcessor.from_pretrained(folder)
    split = scenes.load_split("val", "pretrain")
    captions = split.captions[:number]
    images = [split.load(i) for i in range(number)]
    pixels = processor(images=images, return_tensors="pt")["pixel_values"]
    states = torch.cat(
        [retrieval.vision_model(pixel_values=part).last_hidden_state for part in pixels.split(256)]
    )
    image = F.normalize(retrieval.vision_proj(states[:, 0]), dim=-1)
    flat = [caption for five in captions for caption in five]
    tokens = processor.tokenizer(flat, padding=True, return_tensors="pt")
    ids, mask = tokens["input_ids"], tokens["attention_mask"]
    hidden = torch.cat(
        [
            retrieval.text_encoder(input_ids=i, attention_mask=m).last_hidden_state[:, 0]
            for i, m in zip(ids.split(1024), mask.split(1024), strict=True)
        ]
    )
    text = F.normalize(retrieval.text_proj(hidden), dim=-1)
    own = torch.arange(number)
    owner = own.numpy()
    recalled = recalls(*rank_pairs(image.numpy(), text.numpy(), owner.repeat(5)))
    first = recalls(*rank_pairs(image.numpy(), text[::5].numpy(), owner))
    similarity = image @ text[::5].T
    hardest = similarity.masked_fill(torch.eye(number, dtype=torch.bool), -2).argmax(1)
    fits = []
    for chosen in (own, own.roll(1), hardest):
        rows = 5 * chosen
        fused = retrieval.text_encoder(
            input_ids=ids[rows], attention_mask=mask[rows], encoder_hidden_states=states
        ).last_hidden_state
        logits = retrieval.itm_head(fused[:, 0])
        fits.append(logits[:, 1] - logits[:, 0])
    greedy = captioner.generate(pixel_values=pixels, max_new_tokens=MAX_TOKENS, do_sample=False)
    generated = processor.batch_decode(greedy, skip_special_tokens=True)
    streams = [[five[k] for five in captions] for k in range(5)]
    return {
        **{name: round(recalled[name], 4) for name in ("i2t_r1", "i2t_r5", "t2i_r1", "t2i_r5")},
        "i2t_r1_one_caption": round(first["i2t_r1"], 4),
        "t2i_r1_one_caption": round(first["t2i_r1"], 4),
        "matching_accuracy": round(float((fits[0] > fits[1]).float().mean()), 4),
        "matching_accuracy_hardest": round(float((fits[0] > fits[2]).float().mean()), 4),
        "bleu4_one_reference": round(_bleu(generated, streams[:1]), 2),
        "bleu4_five_references": round(_bleu(generated, streams), 2),
    }


def _bleu(captions: list[str], references: list[list[str]]) -> float:
    import sacrebleu

    metric = sacrebleu.BLEU(tokenize="none", smooth_method="none", lowercase=True)
    return float(metric.corpus_score(captions, references).score)


def main() -> None:
    """Train the model with the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=SHIPPED, help="output folder")
    parser.add_argument("--steps", type=int, default=STEPS, help="batches of 128 new scenes")
    parser.add_argument("--matching-steps", type=int, default=MATCHING_STEPS)
    parser.add_argument(
        "--precision",
        choices=("bfloat16", "float32"),
        default="bfloat16",
        help="float32 is faster on processors without bfloat16 instructions",
    )
    options = parser.parse_args()
    keep_freed_memory()
    scores = build(
        options.out,
        steps=options.steps,
        matching_steps=options.matching_steps,
        precision=options.precision,
    )
    print(json.dumps(scores, indent=2))


if __name__ == "__main__":
    main()
