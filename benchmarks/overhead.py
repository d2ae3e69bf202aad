"""What the orchestrator itself costs: trials that do nothing, beside stock Tune and Optuna alone.

``python -m benchmarks overhead``. Marginal cost is from the first to the last result, a trial.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.processes import ROOT, Finished, ends, run, spread, sweep


def marginal(out: Path, number: int, *options: str) -> tuple[float, Finished]:
    """Milliseconds a trial of a sweep of ``number`` trials, and what the process cost."""
    shutil.rmtree(out, ignore_errors=True)
    space = out.parent / f"grid{number}.py"
    space.write_text(f"GRID = {{'x': list(range({number}))}}\n")
    done = sweep("noop", out, "--space", str(space), *options)
    times = ends(out, "noop")
    assert len(times) == number
    return 1000 * (times[-1] - times[0]) / (number - 1), done


def search(out: Path, number: int, sampler: str) -> float:
    """Milliseconds a trial of an adaptive search."""
    shutil.rmtree(out, ignore_errors=True)
    options = ("--space", "search", "--trials", str(number), "--sampler", sampler)
    sweep("noop", out, *options)
    times = ends(out, "noop")
    return 1000 * (times[-1] - times[0]) / (len(times) - 1)


def optuna_alone(number: int, sampler: str) -> float:
    """Milliseconds of asking and telling a trial of the same search."""
    import optuna

    from benchmarks.plugin.noop_space import search as space

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kinds = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    study = optuna.create_study(sampler=kinds[sampler](seed=0), direction="maximize")
    began = time.perf_counter()
    for _ in range(number):
        trial = study.ask()
        study.tell(trial, space(trial)["a"])
    return 1000 * (time.perf_counter() - began) / number


def tune_alone(kind: str, number: int) -> float:
    """Milliseconds a trial of stock Tune."""
    done = run([sys.executable, "-m", "benchmarks.peers.tune_noop", kind, str(number)])
    line = next(line for line in done.output.splitlines() if line.startswith("RESULT"))
    return float(line.split()[1])


def syne_tune(environment: str, number: int) -> float:
    """Milliseconds a trial of Syne Tune's local backend, installed in an environment of its own."""
    script = str(ROOT / "benchmarks" / "peers" / "syne_noop.py")
    done = run([f"{environment}/bin/python", "-W", "ignore", script, str(number)])
    line = next(line for line in done.output.splitlines() if line.startswith("RESULT"))
    return float(line.split()[1])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="a tenth of the trials")
    parser.add_argument("--syne", metavar="DIR", help="an environment that has syne-tune")
    options = parser.parse_args()
    scale = 10 if options.small else 1
    thousand = 1000 // scale
    ours: list[float] = []
    theirs: list[float] = []
    grown: list[float] = []
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        for _ in range(options.turns):
            cost, small = marginal(out, thousand)
            ours.append(cost)
            theirs.append(tune_alone("class", thousand))
            more, large = marginal(out, 10 * thousand)
            grown.append(more / cost)
            memory.append(large.megabytes - small.megabytes)
        searched = {
            sampler: (search(out, 300 // scale, sampler), optuna_alone(300 // scale, sampler))
            for sampler in ("random", "tpe")
        }
    function = tune_alone("function", 20)
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    print(f"{thousand} trials that do nothing, ms a trial: ours {spread(ours)}")
    print(f"  Tune at its best {spread(theirs, '.1f')}: {spread(ratios, '.1f')} x")
    print(f"  Tune with a function trainable {function:.0f}: {function / min(ours):.0f} x")
    print(f"{10 * thousand} trials: a trial costs {spread(grown)} x as much, driver memory")
    print(f"  {spread(memory, '.0f')} MB more")
    if options.syne:
        processes = [syne_tune(options.syne, 40 // min(scale, 2)) for _ in range(options.turns)]
        factor = statistics.median(processes) / statistics.median(ours)
        print(f"  Syne Tune's local backend {spread(processes, '.0f')}: {factor:.0f} x")
    else:
        print("  Syne Tune is left out: --syne DIR names an environment that has it")
    for sampler, (cost, alone) in searched.items():
        print(f"search with {sampler}: {cost:.1f} ms a trial; Optuna alone {alone:.1f} ms")


if __name__ == "__main__":
    main()
