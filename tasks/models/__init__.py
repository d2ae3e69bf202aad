"""Find and load models by name."""
