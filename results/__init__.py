"""Results: storage, statistics, tables and reports. Needs neither torch, Ray nor Optuna."""
