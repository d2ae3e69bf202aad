"""Runs one sweep, from the request to its tables."""
