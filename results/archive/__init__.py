"""A sweep as one file."""
