"""Draw charts and pictures, in the terminal and as files."""
