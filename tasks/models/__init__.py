"""Backbones, by name."""
