"""Compare LoRA trials in one pack with the same trials one after the other, in CPU seconds.

``python -m benchmarks adapters``. The trials differ in their learning rate and finetune the shipped
model on the built-in scenes. The sides take turns, and CPU seconds are those of this process, so
other load on the machine affects them little.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch

from tasks.contract import Member, Trial
from tasks.datasets import scenes
from tasks.memory import keep_freed_memory
from tasks.retrieval import training
from tasks.retrieval.params import Params
from tasks.retrieval.task import TASK

RATES = (1e-5, 1e-4, 1e-3, 1e-2)


def make_trials(batch_size: int, *, augment: bool, seeds: bool) -> list[Trial]:
    """Return one trial of an epoch for each learning rate, of one seed or of a seed each."""
    model, data = TASK.resolve(TASK.default_model, TASK.default_data)
    return [
        TASK.normalize(
            Trial(
                task=TASK.name,
                version=TASK.version,
                params=Params(
                    trainable="lora",
                    lr=lr,
                    epochs=1,
                    batch_size=batch_size,
                    augment=augment,
                    num_captions=1,
                    precision="float32",  # others are not stacked
                ),
                seed=number if seeds else 0,
                model=model,
                data=data,
            )
        )
        for number, lr in enumerate(RATES)
    ]


def run(*packs: Sequence[Trial]) -> list[float]:
    """Train and evaluate each pack for an epoch; return the recalls."""
    found = []
    for trials in packs:
        (stage,) = TASK.stages(trials[0])
        inputs = {stage: stage.function(**stage.args, device="cpu")}
        members = [Member(trial=t, state=training.start(t, inputs, "cpu")) for t in trials]
        for result in training.advance(members, inputs, "cpu"):
            assert not isinstance(result, Exception), result
            found.append(result[1].metrics["i2t_r1"])
    return found


def timed(work: Callable[[], list[float]]) -> tuple[float, list[float]]:
    """Return the CPU seconds of some work, and its result."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def main() -> None:
    """Print the CPU seconds of both sides and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3, help="how often both sides run")
    parser.add_argument("--images", type=int, default=256, help="images to train and to evaluate")
    parser.add_argument("--batch-size", type=int, default=16, help="pairs of a step")
    parser.add_argument("--seeds", action="store_true", help="a seed for each trial")
    parser.add_argument("--no-augment", action="store_true", help="no augmentation")
    options = parser.parse_args()
    keep_freed_memory()
    scenes.SPLITS |= {"train": options.images, "val": options.images}
    augment = not options.no_augment
    trials = make_trials(options.batch_size, augment=augment, seeds=options.seeds)
    run(trials[:1])  # loads the model
    ratios = []
    print(f"{len(trials)} trials, {torch.get_num_threads()} threads", flush=True)
    for turn in range(options.turns):
        pack, together = timed(lambda: run(trials))
        each, alone = timed(lambda: run(*([trial] for trial in trials)))
        gap = max(abs(one - other) for one, other in zip(together, alone, strict=True))
        ratios.append(each / pack)
        print(
            f"turn {turn + 1}: one pack {pack:.1f} s, alone {each:.1f} s, {each / pack:.2f} x, "
            f"largest difference of a recall {gap:.4f}",
            flush=True,
        )
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"ratio: median {middle:.2f} x, from {low:.2f} to {high:.2f}")


if __name__ == "__main__":
    main()
