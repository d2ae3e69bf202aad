GRID = {"lr": [1e-3, 1e-2], "epochs": [1, 2]}
