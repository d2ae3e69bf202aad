"""Finds and checks tasks and spaces, and makes trials from rows and seeds."""
