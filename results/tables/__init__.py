"""Build summary, detail and overview tables as data."""
