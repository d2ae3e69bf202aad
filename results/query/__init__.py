"""SQL over the tables of several sweeps, with DuckDB."""
