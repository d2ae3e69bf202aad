"""Measure the overhead of trials that do nothing, compared with Tune, Syne Tune and Optuna.

``python -m benchmarks overhead``. The marginal cost of a trial is the time from the first to the
last result divided by the number of trials. Ours includes the time until the last result is on
disk. ``--serve`` measures instead what a web page adds that somebody watches, and ``--track NAME``
what a tracker adds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from benchmarks.processes import (
    Finished,
    ends,
    has_syne_tune,
    peer,
    printed,
    spread,
    sweep,
    watched_parts,
)
from benchmarks.served import watched_page


def new_folder(parent: Path) -> Path:
    """Return a new folder for the results of one run.

    Nothing is deleted before the benchmark ends: after ext4 has deleted thousands of files, it
    takes several times as long to create one, for minutes.
    """
    return Path(tempfile.mkdtemp(dir=parent)) / "out"


def marginal(out: Path, number: int, *options: str) -> tuple[float, Finished]:
    """Run a sweep; return the milliseconds per trial until all is on disk, and the process."""
    space = out.parent / f"grid{number}.py"
    space.write_text(f"GRID = {{'x': list(range({number}))}}\n")
    with watched_parts(out, "noop") as durable:
        done = sweep("noop", out, "--space", str(space), *options)
    times = ends(out, "noop")
    assert len(times) == number
    return 1000 * (durable[-1] - times[0]) / (number - 1), done


def search(folder: Path, number: int, sampler: str) -> float:
    """Run an adaptive search and return the milliseconds per trial."""
    out = new_folder(folder)
    options = ("--space", "search", "--trials", str(number), "--sampler", sampler)
    with watched_parts(out, "noop") as durable:
        sweep("noop", out, *options)
    times = ends(out, "noop")
    return 1000 * (durable[-1] - times[0]) / (len(times) - 1)


def optuna_alone(number: int, sampler: str) -> float:
    """Run the same search with Optuna only, and return the milliseconds per trial."""
    import optuna

    from benchmarks.plugin.noop_space import search as space

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kinds = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    pruner = optuna.pruners.SuccessiveHalvingPruner()
    study = optuna.create_study(sampler=kinds[sampler](seed=0), pruner=pruner, direction="maximize")
    start = time.perf_counter()
    for _ in range(number):
        trial = study.ask()
        value = space(trial)["a"]
        trial.report(value, 1)
        trial.should_prune()
        study.tell(trial, value)
    return 1000 * (time.perf_counter() - start) / number


def compare_with_syne_tune(folder: Path, thousand: int, turns: int) -> None:
    """Print Syne Tune's lines. Dozens of its trials are enough, because each is a process."""
    costs = [
        (marginal(new_folder(folder), thousand)[0], printed(peer("syne_noop", "best", "36")))
        for _ in range(turns)
    ]
    ours, theirs = zip(*costs, strict=True)
    ratios = [b / a for a, b in costs]
    print(f"{thousand} trials, compared with Syne Tune's local backend: ours {spread(ours)}")
    print(f"  Syne Tune at its best {spread(theirs, '.0f')}: {spread(ratios, '.0f')} x")
    default = printed(peer("syne_noop", "default", "24"))
    print(f"  Syne Tune as in its introduction {default:.0f}: {default / min(ours):.0f} x")


def compare_with(
    what: str,
    folder: Path,
    number: int,
    turns: int,
    watch: Callable[[Path], AbstractContextManager[object]],
    *options: str,
) -> None:
    """Print the cost of a trial, and of the whole command, with and without something."""
    alone: list[tuple[float, float]] = []
    together: list[tuple[float, float]] = []
    for _ in range(turns):
        cost, done = marginal(new_folder(folder), number)
        alone.append((cost, done.seconds))
        out = new_folder(folder)
        with watch(out):
            cost, done = marginal(out, number, *options)
        together.append((cost, done.seconds))
    for index, unit in enumerate(("ms per trial", "s in all")):
        before, after = ([each[index] for each in side] for side in (alone, together))
        ratios = [b / a for a, b in zip(before, after, strict=True)]
        print(f"{number} trials that do nothing, {unit}: alone {spread(before)}")
        print(f"  {what} {spread(after)}: {spread(ratios)} x")


def main() -> None:
    """Run the benchmark and print the costs and ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="run a tenth of the trials")
    parser.add_argument("--serve", action="store_true", help="measure only a watched web page")
    parser.add_argument("--track", metavar="NAME", help="measure only an experiment tracker")
    options = parser.parse_args()
    scale = 10 if options.small else 1
    thousand = 1000 // scale
    if options.serve or options.track:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if options.serve:
                watch = partial(watched_page, sweep="noop/bench")
                compare_with("with a watched page", folder, 10 * thousand, options.turns, watch)
            if options.track:
                words = ("--track", options.track)
                label = f"with --track {options.track}"
                compare_with(label, folder, 10 * thousand, options.turns, nullcontext, *words)
        return
    ours: list[float] = []
    theirs: list[float] = []
    grown: list[float] = []
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(options.turns):
            cost, small = marginal(new_folder(folder), thousand)
            ours.append(cost)
            theirs.append(printed(peer("tune_noop", "class", str(thousand))))
            more, large = marginal(new_folder(folder), 10 * thousand)
            grown.append(more / cost)
            memory.append(large.megabytes - small.megabytes)
        searched = {
            sampler: (search(folder, 300 // scale, sampler), optuna_alone(300 // scale, sampler))
            for sampler in ("random", "tpe")
        }
        if has_syne_tune():
            compare_with_syne_tune(folder, thousand, options.turns)
    function = printed(peer("tune_noop", "function", "20"))
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    print(f"{thousand} trials that do nothing, ms per trial: ours {spread(ours)}")
    print(f"  Tune at its best {spread(theirs, '.1f')}: {spread(ratios, '.1f')} x")
    print(f"  Tune with a function trainable {function:.0f}: {function / min(ours):.0f} x")
    print(f"{10 * thousand} trials: a trial costs {spread(grown)} x as much, driver memory")
    print(f"  {spread(memory, '.0f')} MB more")
    for sampler, (cost, alone) in searched.items():
        print(f"search with {sampler}: {cost:.1f} ms per trial; Optuna alone {alone:.1f} ms")


if __name__ == "__main__":
    main()
