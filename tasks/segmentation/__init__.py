"""Semantic segmentation: label every pixel of an image with a class."""
