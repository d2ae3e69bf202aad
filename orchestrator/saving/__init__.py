"""Checkpoints of running trials, and weights of finished ones."""
