"""Engines, which run packs in this process or on a Ray cluster."""
