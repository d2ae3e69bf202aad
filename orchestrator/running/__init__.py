"""One sweep, from the request to the tables."""
