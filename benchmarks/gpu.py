"""Compare every task on a GPU with plain loops of transformers, torch and diffusers.

``python -m benchmarks gpu``. It needs torch and transformers, but neither Ray nor Optuna; sampling
is compared with diffusers if that is installed. Models have random weights, except for the shipped
captioner. The sides take turns, and a first turn, which loads libraries, does not count.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import gpu_diffusion
from benchmarks.comparison import Comparison, measure

ROOT = Path(__file__).parents[1]
IMAGES = 256  # of the comparisons of captioning and encoding
BATCH = 64


def captioning_blip(device: str, images: int) -> Comparison:
    """The ten rows of the paper: one pack against one ``generate`` loop per row."""
    from benchmarks import decoding
    from tasks.captioning.task import TASK
    from tasks.models.captioner import load_captioner

    trials = decoding.make_trials(TASK.default_model, TASK.default_data, images)
    model = trials[0].model
    captioner = load_captioner(model.name, model.fingerprint, device, "float32")
    return Comparison(
        name="captioning, BLIP, ten rows",
        unit="captions",
        amount=len(trials) * images,
        ours=lambda: decoding.run_packed(trials, device),
        plain=lambda: decoding.run_library(captioner, trials, images),
    )


def captioning_git(device: str, images: int, folder: Path) -> Comparison:
    """Ten settings of a GIT: one pack against one ``generate`` loop per setting."""
    from benchmarks import captioners
    from tasks.models.image_text_loading import load_image_text

    trials = captioners.ten_settings(str(captioners.save_git(folder / "git")), images)
    model = trials[0].model
    captioner = load_image_text(model.name, model.fingerprint, device, "float32")
    return Comparison(
        name="captioning, GIT, ten settings",
        unit="captions",
        amount=len(trials) * images,
        ours=lambda: captioners.run_packed(trials, device),
        plain=lambda: captioners.run_library(captioner, trials, images),
    )


def save_clip(folder: Path, layers: int) -> Path:
    """Save a CLIP at random weights: ViT-B/32 with this number of layers."""
    import torch
    import transformers

    from tasks.assets.recipe import build_tokenizer

    torch.manual_seed(0)
    config = transformers.CLIPConfig(
        text_config={"num_hidden_layers": layers}, vision_config={"num_hidden_layers": layers}
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPImageProcessorPil().save_pretrained(folder)
    build_tokenizer(folder)
    return folder


def retrieval(device: str, images: int, folder: Path, layers: int) -> Comparison:
    """Encode images as the stage does, against the vision model itself."""
    import torch
    import transformers

    from tasks.datasets.registry import load_split
    from tasks.models.dual import load_dual_encoder
    from tasks.models.encoders import in_batches

    name = str(save_clip(folder / "clip", layers))
    split = load_split("scenes", "val")
    loaded = [split.load(row) for row in range(images)]
    encoder = load_dual_encoder(name, "x", device, "float32").image
    model = transformers.CLIPModel.from_pretrained(name).to(device).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(name)

    @torch.inference_mode()
    def plain() -> Any:
        rows = []
        for first in range(0, len(loaded), BATCH):
            pixels = processor(images=loaded[first : first + BATCH], return_tensors="pt")
            pixels = pixels["pixel_values"].to(device)
            rows.append(model.vision_model(pixel_values=pixels).pooler_output.cpu())
        return torch.cat(rows)

    return Comparison(
        name="retrieval, encode images with ViT-B/32",
        unit="images",
        amount=images,
        ours=lambda: in_batches(encoder.encode, loaded, BATCH),
        plain=plain,
    )


def comparisons(device: str, folder: Path, *, small: bool) -> Iterator[Comparison]:
    """Yield the comparisons; the small ones try the program out, and their ratios mean nothing."""
    images = 16 if small else IMAGES
    yield captioning_blip(device, images)
    yield captioning_git(device, images, folder)
    yield retrieval(device, images, folder, layers=1 if small else 12)
    yield from gpu_diffusion.comparisons(device, small=small)


def main() -> None:
    """Run the comparisons and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda:0", help="cuda:0 (default), or cpu")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="try the program out")
    options = parser.parse_args()
    # Shapes in signatures mean nothing without jaxtyping; only found if it is not installed.
    sys.path.append(str(ROOT / "tests" / "gpu" / "without_jaxtyping"))
    import torch

    from tasks.memory import keep_freed_memory
    from tasks.models.loading import silence_transformers

    if options.device.startswith("cuda"):
        if not torch.cuda.is_available():
            parser.exit(2, "error: torch finds no CUDA device; use --device cpu\n")
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    keep_freed_memory()
    silence_transformers()
    with tempfile.TemporaryDirectory() as folder:
        for comparison in comparisons(options.device, Path(folder), small=options.small):
            print(measure(comparison, options.device, options.turns), flush=True)


if __name__ == "__main__":
    main()
