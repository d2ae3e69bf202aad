"""Train retrieval heads on real photos with pretrained encoders.

``python -m benchmarks.flickr8k DIR``, where DIR has Flickr8k photos in Karpathy's layout. This
chooses a configuration of GRID below by rsum on the val photos, with five seeds each, and then runs
the chosen configuration and the paper's rows on the test photos. All sweeps run through the command
line. ``benchmarks/encoders.py`` says what must be installed. To try it in two minutes, add
``--limit 60 --seeds 1``.
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

# This file is also the search space of the first sweep: `--space benchmarks/flickr8k.py`.
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
    """Run one sweep with the local engine, which prints its table."""
    command = [sys.executable, "-m", "orchestrator", "sweep", "retrieval", *options]
    done = subprocess.run([*command, "--engine", "local", "--out", str(out)], check=False)
    if done.returncode:  # the command has printed the reason
        sys.exit(done.returncode)


def choose(out: Path) -> dict[str, object]:
    """Return the parameters with the best mean rsum on val."""
    scores: dict[tuple[object, ...], list[float]] = collections.defaultdict(list)
    for row in read_sweep(str(out), "retrieval", "choose").rows():
        scores[tuple(row[f"param.{name}"] for name in GRID)].append(row["metric.rsum"])
    best = max(scores, key=lambda key: sum(scores[key]) / len(scores[key]))
    return dict(zip(GRID, best, strict=True))


def main() -> None:
    """Run the sweeps."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path, help="Flickr8k in Karpathy's layout")
    parser.add_argument("--out", type=Path, default=Path("runs-flickr8k"))
    parser.add_argument("--limit", type=int, help="use only this many photos of each split")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    photos = reduce_photos(options.photos, options.out, options.limit)
    data = ("--data", f"karpathy:{photos}", "--model", model_name(options.out))
    seeds = ("--seeds", str(options.seeds))
    # A batch must not be larger than the training split.
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
