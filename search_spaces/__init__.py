"""The search spaces of the built-in tasks, one file each, and the types that they use."""
