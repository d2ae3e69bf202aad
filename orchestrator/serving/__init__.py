"""Web pages over the results: ``serve`` shows them live, ``page`` writes one as a file."""
