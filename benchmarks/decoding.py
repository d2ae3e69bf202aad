"""Compare the paper's captioning rows in one pack with a ``generate`` loop per row at batch 16.

``python -m benchmarks decoding``. Both sides caption the same images with the same model, from
pixels to scored text. The library's side runs each of the ten rows separately, as in the lab. The
sides take turns, so that other load on the machine affects both.
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
    """Return the ten rows of the paper, of which three have the same configuration."""
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


def run_packed(trials: list[Trial], device: str = "cpu") -> int:
    """Encode once, decode distinct rows together and score, as a sweep does. Return the tokens."""
    inputs = {
        stage: stage.function(**stage.args, device=device)
        for trial in trials[:1]
        for stage in stages.needed(trial)
    }
    distinct = list({trial.id: trial for trial in trials}.values())
    members = [Member(trial=trial, state=captioning.start()) for trial in distinct]
    num_tokens = 0
    while members:
        unfinished = []
        results = captioning.advance(members, inputs, device)
        for member, result in zip(members, results, strict=True):
            if isinstance(result, Exception):
                raise result
            state, step = result
            if step.done:
                num_tokens += int((state.arrays["ids"] != 0).sum())
            else:
                unfinished.append(Member(trial=member.trial, state=state))
        members = unfinished
    return num_tokens


def run_library(captioner: Captioner, trials: list[Trial], number: int) -> int:
    """Run one ``generate`` loop per row, which encodes the images again. Return the tokens."""
    num_tokens = 0
    for trial in trials:
        params: Params = trial.params
        images = load_split(trial.data.name, params.split)
        options: dict[str, Any] = {"do_sample": params.decoding == "sample"}
        if options["do_sample"]:
            options |= {"top_k": params.top_k, "temperature": params.temperature}
        torch.manual_seed(42)
        captions: list[str] = []
        for first in range(0, number, LAB_BATCH):
            batch = [images.load(i) for i in range(first, min(first + LAB_BATCH, number))]
            pixels = captioner.processor(images=batch, return_tensors="pt")["pixel_values"]
            tokens = captioner.tokenizer([params.prompt] * len(batch), return_tensors="pt")
            tokens = tokens.to(captioner.device)
            ids = captioner.model.generate(
                pixel_values=pixels.to(captioner.device),
                input_ids=tokens["input_ids"],
                attention_mask=tokens["attention_mask"],
                min_length=params.min_length,
                max_length=params.max_length,
                **options,
            )
            captions += captioner.tokenizer.batch_decode(ids, skip_special_tokens=True)
            num_tokens += int((ids[:, tokens["input_ids"].shape[1] - 1 :] != captioner.pad).sum())
        # Both sides score their rows with the same code.
        scored = [caption[len(params.prompt.strip()) :] for caption in captions]
        references = [each[: params.num_references] for each in images.captions]
        captioning.score(scored, scores.BleuStatistics(references)(scored), trial)
    return num_tokens


def timed(run: Callable[[], int]) -> tuple[float, int]:
    """Return the seconds of a run, and its number of tokens."""
    start = time.perf_counter()
    num_tokens = run()
    return time.perf_counter() - start, num_tokens


def main() -> None:
    """Run the benchmark and print the ratios."""
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
