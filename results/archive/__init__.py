"""Write and read a sweep as one file."""
