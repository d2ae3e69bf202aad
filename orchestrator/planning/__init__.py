"""Find tasks and spaces, check them, and turn rows and seeds into trials."""
