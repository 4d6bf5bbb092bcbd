"""Training, from a recipe and data to a run's folder: `fit` is the loop, `Run` the folder, `export` makes the file."""
