"""Run the 32 head trainings of ``benchmarks heads`` in three other ways, and print the seconds.

distinct DIR MODEL   no orchestrator: one process encodes once and trains all heads as a pack
expert DIR MODEL     Ray Tune at its best: features are encoded once and shared with
                     ``tune.with_parameters``; class trainable, ``reuse_actors``, no loggers
naive DIR MODEL      Ray Tune as in its introduction: each trial is a function that does all the
                     work; two trials at once are timed and extrapolated to 32
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from typing import Any

os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"

import itertools

import numpy as np

from benchmarks.heads import GRID

NUM_TRIALS = len(list(itertools.product(*GRID.values())))
Config = dict[str, Any]
Features = dict[str, np.ndarray[Any, Any]]


def configs() -> list[Config]:
    """Return the points of the grid."""
    return [dict(zip(GRID, point, strict=True)) for point in itertools.product(*GRID.values())]


def encode(folder: str, model: str) -> Features:
    """Encode train and val with the same encoders and batches as the project."""
    from tasks.datasets.registry import load_split
    from tasks.models import families
    from tasks.models.dual import load_dual_encoder
    from tasks.models.encoders import in_batches
    from tasks.retrieval.stages import index_captions

    source = families.resolve(model)
    dual = load_dual_encoder(source.name, source.fingerprint, "cpu", "float32")
    found: Features = {}
    for name in ("train", "val"):
        split = load_split(f"karpathy:{folder}", name)
        rows = [
            dual.image.encode([split.load(i) for i in range(first, min(first + 64, len(split)))])
            for first in range(0, len(split), 64)
        ]
        captions, row, owner = index_captions(split.captions)
        texts = in_batches(dual.text.encode, captions, 256)
        found |= {f"{name}.image": np.concatenate(rows), f"{name}.text": texts[row]}
        found[f"{name}.owner"] = owner
    return found


class HeadTraining:
    """A plain training loop: two linear heads, with AdamW and a schedule from torch."""

    def __init__(self, config: Config, features: Features) -> None:
        import torch

        torch.manual_seed(0)
        self.config, self.features, self.epoch = config, features, 0
        self.image, self.text = (
            torch.nn.Linear(features[f"train.{side}"].shape[1], config["embed_dim"])
            for side in ("image", "text")
        )
        parameters = [*self.image.parameters(), *self.text.parameters()]
        self.optimizer = torch.optim.AdamW(
            parameters, lr=config["lr"], weight_decay=config["weight_decay"]
        )
        self.tensors = {name: torch.from_numpy(np.array(value)) for name, value in features.items()}
        steps = config["epochs"] * (len(features["train.image"]) // config["batch_size"])
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: max(0.0, 1 - step / steps)
        )

    def train_epoch(self) -> float:
        """Train one epoch and return image-to-text R@1 on val."""
        import torch
        import torch.nn.functional as F

        rng = np.random.default_rng([0, self.epoch])
        self.epoch += 1
        number, size = len(self.features["train.image"]), self.config["batch_size"]
        order = rng.permutation(number)
        target = torch.arange(size)
        for first in range(0, number - size + 1, size):
            rows = order[first : first + size]
            captions = torch.from_numpy(5 * rows + rng.integers(5, size=size))
            images = F.normalize(self.image(self.tensors["train.image"][rows]), dim=-1)
            texts = F.normalize(self.text(self.tensors["train.text"][captions]), dim=-1)
            logits = images @ texts.T / self.config["temperature"]
            loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.schedule.step()
        with torch.no_grad():
            images = F.normalize(self.image(self.tensors["val.image"]), dim=-1)
            texts = F.normalize(self.text(self.tensors["val.text"]), dim=-1)
            best = (images @ texts.T).argmax(1)
        owner = self.tensors["val.owner"]
        return float((owner[best] == torch.arange(len(images))).float().mean())


def distinct(folder: str, model: str) -> None:
    """Do only the distinct work, with the project's functions, in one process."""
    from benchmarks.heads import make_trials
    from orchestrator.execution.run_pack import run_pack
    from orchestrator.execution.stages import compute, needed_stages
    from orchestrator.saving.checkpoint_writer import CheckpointWriter
    from orchestrator.saving.checkpoints import Checkpoints
    from tasks.memory import keep_freed_memory
    from tasks.retrieval.task import TASK

    keep_freed_memory()
    trials = make_trials(folder, model)
    inputs = {stage: compute(stage, [], "cpu") for stage in needed_stages(TASK, trials)}
    with tempfile.TemporaryDirectory() as scratch:
        writer = CheckpointWriter(checkpoints=Checkpoints(scratch), interval=0.0)
        steps = run_pack(TASK, trials, inputs, "cpu", writer)
        next(steps)
        try:
            while True:
                steps.send(set())
        except StopIteration:
            pass


def tuned(trainable: Any, points: list[Config], reuse: bool) -> None:
    """Run the points with Tune, one CPU each."""
    from ray import tune

    tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"point": tune.grid_search(points)},
        tune_config=tune.TuneConfig(reuse_actors=reuse),
        run_config=tune.RunConfig(
            storage_path=tempfile.mkdtemp(),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False) if reuse else None,
        ),
    ).fit()


def expert(folder: str, model: str) -> None:
    """Share everything between trials that Tune can share."""
    import ray
    from ray import tune

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    features = encode(folder, model)

    class Heads(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: Config, features: Features | None = None) -> None:
            import torch

            torch.set_num_threads(1)
            assert features is not None
            self.features = features
            self.work = HeadTraining(config["point"], features)

        def reset_config(self, new_config: Config) -> bool:
            self.work = HeadTraining(new_config["point"], self.features)
            return True

        def step(self) -> dict[str, Any]:
            recall = self.work.train_epoch()
            return {"i2t_r1": recall, "done": self.work.epoch >= self.work.config["epochs"]}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            pass

        def load_checkpoint(self, checkpoint: Any) -> None:
            pass

    tuned(tune.with_parameters(Heads, features=features), configs(), reuse=True)
    ray.shutdown()


def naive(folder: str, model: str) -> None:
    """Let each trial load, encode and train separately."""
    import ray
    from ray import tune

    def train(config: Config) -> None:
        import torch

        torch.set_num_threads(1)
        work = HeadTraining(config["point"], encode(folder, model))
        for _ in range(config["point"]["epochs"]):
            tune.report({"i2t_r1": work.train_epoch()})

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    start = time.perf_counter()
    tuned(train, configs()[:2], reuse=False)
    seconds = time.perf_counter() - start
    ray.shutdown()
    print(f"RESULT {seconds * NUM_TRIALS / 2:.1f}")


if __name__ == "__main__":
    {"distinct": distinct, "expert": expert, "naive": naive}[sys.argv[1]](*sys.argv[2:])
