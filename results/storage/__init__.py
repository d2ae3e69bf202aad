"""Store Parquet tables and weights on a disk or in a bucket."""
