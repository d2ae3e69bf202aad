"""Train retrieval heads from photos or from a file of features: a training script for Syne Tune."""

from argparse import ArgumentParser

import numpy as np
import torch
from syne_tune import Reporter

from benchmarks.peers.heads import HeadTraining, encode

if __name__ == "__main__":
    parser = ArgumentParser()
    for name in ("folder", "model", "features"):
        parser.add_argument(f"--{name}")
    for name in ("embed_dim", "epochs", "batch_size"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("lr", "weight_decay", "temperature"):
        parser.add_argument(f"--{name}", type=float)
    options, _ = parser.parse_known_args()
    torch.set_num_threads(1)
    report = Reporter()
    if options.features:
        features = dict(np.load(options.features))
    else:
        features = encode(options.folder, options.model)
    work = HeadTraining(vars(options), features)
    for epoch in range(options.epochs):
        report(epoch=epoch + 1, i2t_r1=work.train_epoch())
