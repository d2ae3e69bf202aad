"""Retrieval on real photos with pretrained encoders: ``python -m benchmarks.flickr8k DIR``.

DIR holds Flickr8k photos in Karpathy's layout. A setting is chosen on the val photos out of GRID
below (five seeds each, by rsum); the chosen one and the paper's own rows are then run on the test
photos. Everything goes through the command line that a user types; see ``benchmarks/encoders.py``
for what has to be installed. ``--limit 60 --seeds 1`` tries it all in two minutes.
"""

from __future__ import annotations

import argparse
import collections
import subprocess
import sys
from pathlib import Path

from benchmarks.encoders import model_name
from benchmarks.photos import reduce_photos
from results.storage.reading import read_sweep

# This file is also the space of its first sweep: `--space benchmarks/flickr8k.py`.
GRID = {
    "start": ["random"],
    "head": ["linear", "mlp"],
    "embed_dim": [512],
    "lr": [1e-3],
    "weight_decay": [0.1],
    "epochs": [10, 20, 40],
    "temperature": [0.07, 0.1],
    "batch_size": [250],
    "augment": [False],
}


def sweep(out: Path, *options: str) -> None:
    """One sweep in this machine's one process, its table on this terminal."""
    command = [sys.executable, "-m", "orchestrator", "sweep", "retrieval", *options]
    done = subprocess.run([*command, "--engine", "local", "--out", str(out)], check=False)
    if done.returncode:  # the command has said why
        sys.exit(done.returncode)


def choose(out: Path) -> dict[str, object]:
    """The parameters with the best mean rsum on val."""
    scores: dict[tuple[object, ...], list[float]] = collections.defaultdict(list)
    for row in read_sweep(str(out), "retrieval", "choose").rows():
        scores[tuple(row[f"param.{name}"] for name in GRID)].append(row["metric.rsum"])
    best = max(scores, key=lambda key: sum(scores[key]) / len(scores[key]))
    return dict(zip(GRID, best, strict=True))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path, help="Flickr8k in Karpathy's layout")
    parser.add_argument("--out", type=Path, default=Path("runs-flickr8k"))
    parser.add_argument("--limit", type=int, help="only the first photos of each split")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    photos = reduce_photos(options.photos, options.out, options.limit)
    data = ("--data", f"karpathy:{photos}", "--model", model_name(options.out))
    seeds = ("--seeds", str(options.seeds))
    # A batch may not be larger than the training split.
    few = ("--set", f"batch_size={options.limit}") if (options.limit or 250) < 250 else ()
    sweep(options.out, *data, *few, "--space", __file__, "--name", "choose", *seeds)
    chosen = choose(options.out)
    print(f"chosen on val: {chosen}", flush=True)
    space = options.out / "chosen.py"
    space.write_text(f"GRID = { ({name: [value] for name, value in chosen.items()})!r}\n")
    test = ("--set", "split=test", *data)
    sweep(options.out, *test, "--space", str(space), "--name", "chosen", *seeds)
    sweep(options.out, *test, "--set", "start=random", "--name", "report-test")


if __name__ == "__main__":
    main()
