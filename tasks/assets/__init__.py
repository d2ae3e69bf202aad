"""The small BLIP that ships with the package, and the recipe that trains it on scenes."""
