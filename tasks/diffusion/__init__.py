"""The diffusion task: train a conditional model on four conditions and sample all eight."""
