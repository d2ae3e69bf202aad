"""Which trials run next: a fixed list, or an Optuna study."""
