"""An example of a task in its own package."""
