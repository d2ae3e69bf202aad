"""What ships with the package: the small BLIP trained on scenes, and its recipe."""
