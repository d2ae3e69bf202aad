"""Tables for the terminal: whole words and whole numbers at any width."""
