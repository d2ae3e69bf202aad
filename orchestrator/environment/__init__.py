"""Describes what a sweep ran with: versions, hardware, and the state of the checkout."""
