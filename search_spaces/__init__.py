"""Which trials a sweep tries: one file a task, and the types they are written in."""
