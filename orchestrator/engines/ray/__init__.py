"""Packs on Ray Tune."""
