"""Data sets: images with captions, by name."""
