"""What came out: schema, store, statistics, tables. Never torch, Ray or Optuna."""
