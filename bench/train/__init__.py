"""Training: accuracy over seeds, speed."""
