"""Report one number: a training script for Syne Tune."""

from argparse import ArgumentParser

from syne_tune import Reporter

if __name__ == "__main__":
    parser = ArgumentParser()
    parser.add_argument("--x", type=int)
    arguments, _ = parser.parse_known_args()
    report = Reporter()
    report(value=0.0)
