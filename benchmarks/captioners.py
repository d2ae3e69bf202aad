"""Compare ten settings of one GIT in a pack with a ``generate`` loop per setting at batch 16.

``python -m benchmarks captioners``. Both sides caption the same images with the same model, from
pixels to text. Without ``--model`` it is a GIT at random weights, whose captions all have the full
length. The sides take turns, so that other load on the machine affects both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.decoding import LAB_BATCH
from tasks.assets.recipe import build_tokenizer
from tasks.captioning import rungs
from tasks.captioning.params import Params
from tasks.captioning.stages import needed
from tasks.captioning.task import TASK
from tasks.contract import Member, Trial
from tasks.datasets.registry import load_split
from tasks.memory import keep_freed_memory
from tasks.models.image_text import ImageTextCaptioner
from tasks.models.image_text_loading import load_image_text

#: A small GIT: 6 and 6 layers of width 256, 224 pixels in patches of 16.
WIDTH, LAYERS, SIZE = 256, 6, 224


def save_git(folder: Path) -> Path:
    """Save a GIT at random weights, with its tokenizer and image processor."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer(folder)
    shape = {
        "hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
    }
    config = transformers.GitConfig(
        vision_config={**shape, "image_size": SIZE, "patch_size": 16},
        **shape,
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    transformers.GitForCausalLM(config).save_pretrained(folder)
    size = {"height": SIZE, "width": SIZE}
    transformers.CLIPImageProcessorPil(size=size, crop_size=size).save_pretrained(folder)
    return folder


def run_packed(trials: list[Trial], device: str = "cpu") -> int:
    """Encode once, and decode all settings together, as a sweep does. Return the tokens."""
    num_tokens, number = 0, trials[0].params.num_images
    inputs = {}
    for stage in needed(trials[0]):  # which encodes whole chunks; the loops encode no image more
        args = {**stage.args, "last": min(stage.args["last"], number)}
        inputs[stage] = stage.function(**args, device=device)
    state = TASK.start(trials[0], inputs, device)
    members = [Member(trial=trial, state=state) for trial in trials]
    while state.values["images"] < number:
        for (ids,) in rungs.decode_rung(members, inputs, device):
            num_tokens += int((ids != 0).sum())
        images = next(n for n in rungs.rungs(number) if n > state.values["images"])
        state = type(state)(arrays={}, values={"images": images})
        members = [Member(trial=trial, state=state) for trial in trials]
    return num_tokens


def run_library(captioner: ImageTextCaptioner, trials: list[Trial], number: int) -> int:
    """Run one ``generate`` loop per setting, which encodes the images again. Return the tokens."""
    num_tokens = 0
    for trial in trials:
        params: Params = trial.params
        images = load_split(trial.data.name, params.split)
        options: dict[str, Any] = {"do_sample": params.decoding == "sample"}
        if options["do_sample"]:
            options |= {"top_k": params.top_k, "temperature": params.temperature}
        torch.manual_seed(42)
        for first in range(0, number, LAB_BATCH):
            batch = [images.load(i) for i in range(first, min(first + LAB_BATCH, number))]
            inputs = captioner.inputs(batch, params.prompt)
            ids = captioner.model.generate(
                **inputs,
                eos_token_id=list(captioner.ends),
                min_new_tokens=params.min_length,
                max_new_tokens=params.max_length,
                **options,
            )
            num_tokens += int((ids[:, inputs["input_ids"].shape[1] :] != captioner.pad).sum())
    return num_tokens


def ten_settings(model: str, number: int) -> list[Trial]:
    """Return ten trials with the paper's prompt: greedy, and nine settings of sampling."""
    source, images = TASK.resolve(model, "scenes")
    settings: list[dict[str, Any]] = [
        {"decoding": "greedy"},
        *({"top_k": k, "temperature": 0.7} for k in (10, 30, 50, 70, 100)),
        *({"top_k": k, "temperature": 1.0} for k in (10, 50, 70, 100)),
    ]
    trials = [
        Trial(
            task=TASK.name,
            version=TASK.version,
            params=Params(num_images=number, num_references=1, **setting),
            seed=0,
            model=source,
            data=images,
        )
        for setting in settings
    ]
    return [TASK.normalize(trial) for trial in trials]


def timed(run: Callable[[], int]) -> tuple[float, int]:
    """Return the seconds of a run, and its number of tokens."""
    start = time.perf_counter()
    num_tokens = run()
    return time.perf_counter() - start, num_tokens


def main() -> None:
    """Run the benchmark and print the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", help="id or folder of a GIT")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    keep_freed_memory()  # for both sides
    with tempfile.TemporaryDirectory() as folder:
        trials = ten_settings(options.model or str(save_git(Path(folder))), options.images)
        source = trials[0].model
        captioner = load_image_text(source.name, source.fingerprint, "cpu", "float32")
        ratios = []
        for turn in range(options.turns):
            ours, our_tokens = timed(lambda: run_packed(trials))
            theirs, their_tokens = timed(lambda: run_library(captioner, trials, options.images))
            ratios.append(theirs / ours)
            packed = f"packed {ours:.1f} s ({our_tokens / ours:.0f} tokens/s)"
            loops = f"ten generate loops {theirs:.1f} s ({their_tokens / theirs:.0f} tokens/s)"
            print(f"turn {turn + 1}: {packed}, {loops}, {theirs / ours:.1f} x", flush=True)
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"ratio: median {middle:.1f} x, from {low:.1f} to {high:.1f}")


if __name__ == "__main__":
    main()
