"""An example of a task outside the orchestrator's own tree."""
