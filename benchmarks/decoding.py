"""The paper's captioning rows packed, against one library ``generate`` loop per row at batch 16.

``python -m benchmarks decoding``. Both sides caption the same images with the same model, from
pixels to scored text; the library's side is what the lab does, each of its ten rows for itself.
Runs are in turns, so that a busy machine hurts both.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from search_spaces.captioning import REPORT
from tasks.captioning import captioning, scores, stages
from tasks.captioning.params import Params
from tasks.captioning.task import TASK
from tasks.contract import Member, Trial
from tasks.datasets.registry import load_split
from tasks.memory import keep_freed_memory
from tasks.models.captioner import Captioner, load_captioner

LAB_BATCH = 16


def make_trials(model: str, data: str, number: int) -> list[Trial]:
    """The ten rows as they stand in the paper, three of them one configuration."""
    source, images = TASK.resolve(model, data)
    rows = [dict(row.params) for table in REPORT for row in table.rows]
    trials = [
        Trial(
            task=TASK.name,
            version=TASK.version,
            params=Params(**{**row, "num_images": number}),  # type: ignore[arg-type]
            seed=0,
            model=source,
            data=images,
        )
        for row in rows
    ]
    return [TASK.normalize(trial) for trial in trials]


def run_packed(trials: list[Trial]) -> int:
    """What a sweep does: encode once, decode the distinct rows together, score; tokens said."""
    inputs = {
        stage: stage.function(**stage.args, device="cpu")
        for trial in trials[:1]
        for stage in stages.needed(trial)
    }
    distinct = list({trial.id: trial for trial in trials}.values())
    members = [Member(trial=trial, state=captioning.start()) for trial in distinct]
    told = 0
    while members:
        going = []
        for member, result in zip(members, captioning.advance(members, inputs, "cpu"), strict=True):
            if isinstance(result, Exception):
                raise result
            state, step = result
            if step.done:
                told += int((state.arrays["ids"] != 0).sum())
            else:
                going.append(Member(trial=member.trial, state=state))
        members = going
    return told


def run_library(captioner: Captioner, trials: list[Trial], number: int) -> int:
    """One ``generate`` loop a row, images encoded again each time; tokens said."""
    told = 0
    for trial in trials:
        params: Params = trial.params
        images = load_split(trial.data.name, params.split)
        options: dict[str, Any] = {"do_sample": params.decoding == "sample"}
        if options["do_sample"]:
            options |= {"top_k": params.top_k, "temperature": params.temperature}
        torch.manual_seed(42)
        said: list[str] = []
        for first in range(0, number, LAB_BATCH):
            batch = [images.load(i) for i in range(first, min(first + LAB_BATCH, number))]
            pixels = captioner.processor(images=batch, return_tensors="pt")["pixel_values"]
            tokens = captioner.tokenizer([params.prompt] * len(batch), return_tensors="pt")
            ids = captioner.model.generate(
                pixel_values=pixels,
                input_ids=tokens["input_ids"],
                attention_mask=tokens["attention_mask"],
                min_length=params.min_length,
                max_length=params.max_length,
                **options,
            )
            said += captioner.tokenizer.batch_decode(ids, skip_special_tokens=True)
            told += int((ids[:, tokens["input_ids"].shape[1] - 1 :] != captioner.pad).sum())
        # Both sides score, each of its rows, with the same code.
        own = [caption[len(params.prompt.strip()) :] for caption in said]
        references = [each[: params.num_references] for each in images.captions]
        captioning.score(own, scores.BleuStatistics(references)(own), trial)
    return told


def timed(run: Callable[[], int]) -> tuple[float, int]:
    """Seconds, and tokens said."""
    began = time.perf_counter()
    told = run()
    return time.perf_counter() - began, told


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default=TASK.default_model)
    parser.add_argument("--data", default=TASK.default_data)
    parser.add_argument("--images", type=int, default=1449)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    keep_freed_memory()  # for both sides
    trials = make_trials(options.model, options.data, options.images)
    source = trials[0].model
    captioner = load_captioner(source.name, source.fingerprint, "cpu", "float32")
    ratios = []
    for turn in range(options.turns):
        ours, our_tokens = timed(lambda: run_packed(trials))
        theirs, their_tokens = timed(lambda: run_library(captioner, trials, options.images))
        ratios.append(theirs / ours)
        packed = f"packed {ours:.1f} s ({our_tokens / ours:.0f} tokens/s)"
        loops = f"ten generate loops {theirs:.1f} s ({their_tokens / theirs:.0f} tokens/s)"
        print(f"turn {turn + 1}: {packed}, {loops}, {theirs / ours:.1f} x", flush=True)
    one, alone = timed(lambda: run_packed(trials[:1]))
    print(f"one row alone: {one:.1f} s ({alone / one:.0f} tokens/s)")
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"ratio: median {middle:.1f} x, from {low:.1f} to {high:.1f}")


if __name__ == "__main__":
    main()
