"""Check that a sweep can run here, before it starts."""
