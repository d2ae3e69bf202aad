"""Searchers, which suggest trials: fixed lists and Optuna studies."""
