"""Training: recipe and data in, a run folder and an ONNX file out. `trainer.fit` is the loop for all models."""
