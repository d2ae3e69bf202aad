"""Sends the metrics of running sweeps to experiment trackers."""
