"""Decides which trial runs where, and when it stops."""
