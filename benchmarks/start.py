"""Time the start of a sweep until its first step, compared with the necessary imports alone.

``python -m benchmarks start``. The sweep uses a few drawn images, so that encoding takes no time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.processes import ends, run, spread, sweep

IMPORTS = "import torch; from transformers import BlipForImageTextRetrieval"
ACTOR = f"""
import ray
ray.init(address="local", include_dashboard=False, log_to_driver=False)
@ray.remote
class Actor:
    def ready(self):
        {IMPORTS}
        return True
ray.get(Actor.remote().ready.remote())
"""


def draw(folder: Path) -> None:
    """Write a data set of 32 images in the layout ``folder:DIR``."""
    from tasks.datasets import scenes

    for split in ("train", "val"):
        drawn = scenes.load_split(split)
        (folder / split).mkdir(parents=True)
        lines = []
        for index in range(16):
            drawn.load(index).save(folder / split / f"{index}.png")
            lines.append({"image": f"{index}.png", "captions": drawn.captions[index]})
        text = "\n".join(json.dumps(line) for line in lines)
        (folder / split / "captions.jsonl").write_text(text)


def main() -> None:
    """Run the benchmark and print the times."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    programs = {"local": IMPORTS, "ray": ACTOR}
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        draw(root / "pictures")
        space = root / "space.py"
        space.write_text("GRID = {'epochs': [1]}\n")
        for _ in range(options.turns):
            for engine, program in programs.items():
                shutil.rmtree(root / "out", ignore_errors=True)
                imports = run([sys.executable, "-c", program]).seconds
                inputs = ("--data", f"folder:{root / 'pictures'}", "--space", str(space))
                done = sweep("retrieval", root / "out", *inputs, "--engine", engine)
                first = ends(root / "out", "retrieval")[0] - done.began
                seconds.setdefault(f"{engine}: first step after", []).append(first)
                seconds.setdefault(f"{engine}: imports alone", []).append(imports)
                seconds.setdefault(f"{engine}: difference", []).append(first - imports)
    for name, times in seconds.items():
        print(f"{name:28} {spread(times, '.1f')} s")


if __name__ == "__main__":
    main()
