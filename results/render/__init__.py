"""Render tables in the terminal, at any width, without breaking words and numbers."""
