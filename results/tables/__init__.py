"""Summaries, details and overviews as data."""
