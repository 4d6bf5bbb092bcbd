"""What the Learn page shows of the inside of a model."""
