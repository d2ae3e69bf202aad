"""The built-in tasks, one folder each, and the data sets and models that they share."""
