"""All checks, and a runner that needs no pytest."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from gpu import any_device, gpu_only, half_precision, several_gpus, waiting
from gpu.subjects import SUBJECTS, Subject

from tasks.models.loading import silence_transformers

#: Packages that a check may miss. `pip install` of the project brings them.
OPTIONAL = ("pyarrow", "sacrebleu")
#: Checks of packs say nothing about trials that always run alone.
OF_PACKS = ("pack_equals_members", "members_fit_their_estimates")


class SkipError(Exception):
    """A check cannot run on this machine; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A check with a name."""

    name: str
    check: Callable[[str, Path], str]

    def run(self, device: str, folder: Path) -> str:
        """Run the check and return its figures.

        Raises:
            SkipError: if a package is missing.
        """
        try:
            return self.check(device, folder)
        except ModuleNotFoundError as error:
            if error.name in OPTIONAL:
                raise SkipError(f"needs {error.name}") from None
            raise


def cases(*, cuda: bool) -> Iterator[Case]:
    """Yield the checks of every device, and with ``cuda`` also those of a GPU."""
    for name in SUBJECTS:
        for of_subject in any_device.CHECKS:
            title = of_subject.__name__
            if not (name.endswith(("_full", "_lora")) and title in OF_PACKS):
                yield Case(name=f"{name}: {title}", check=partial(_on_subject, of_subject, name))
    alone = (
        any_device.out_of_memory,
        waiting.training_loops_do_not_wait,
        waiting.token_selection_does_not_wait,
        half_precision.encoders_in_half_precision_are_close,
        half_precision.captions_in_half_precision_are_close,
        *((*gpu_only.CHECKS, *several_gpus.CHECKS) if cuda else ()),
    )
    for check in alone:
        yield Case(name=check.__name__, check=check)


@cache
def _subject(name: str, folder: Path) -> Subject:
    return SUBJECTS[name](folder)


def _on_subject(check: Any, name: str, device: str, folder: Path) -> str:
    figures: str = check(_subject(name, folder), device, folder)
    return figures


def main() -> int:
    """Run the checks and print a line for each; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda:0", help="cuda:0 (default), or cpu")
    parser.add_argument("--only", default="", help="run only the checks whose name contains this")
    options = parser.parse_args()
    cuda = options.device.startswith("cuda")
    if cuda and not torch.cuda.is_available():
        print("error: torch finds no CUDA device; use --device cpu", file=sys.stderr)
        return 2
    if cuda:
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    chosen = [case for case in cases(cuda=cuda) if options.only in case.name]
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    silence_transformers()
    with tempfile.TemporaryDirectory() as folder:
        for case in chosen:
            start = time.perf_counter()
            try:
                outcome, figures = "passed", case.run(options.device, Path(folder))
            except SkipError as reason:
                outcome, figures = "skipped", str(reason)
            except Exception:  # the other checks run
                outcome, figures = "failed", traceback.format_exc()
            counts[outcome] += 1
            seconds = time.perf_counter() - start
            print(f"{outcome:8}{case.name:52}{seconds:6.1f} s  {figures}", flush=True)
    print(", ".join(f"{number} {outcome}" for outcome, number in counts.items()))
    return 1 if counts["failed"] or not chosen else 0
