"""Charts and pictures, for the terminal and as files."""
