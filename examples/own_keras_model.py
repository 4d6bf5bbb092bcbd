"""Bring your own Keras model: train it on drawn digits, export it to ONNX, and read pictures with it.

    python examples/own_keras_model.py [MODEL.onnx]

Keras exports to ONNX with TensorFlow or PyTorch behind it, as KERAS_BACKEND says. Handigit asks for one input of
28 x 28 (here with a channel) and ten outputs, logits or probabilities.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from handigit import Reader, synth

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "digits"


def build() -> Any:
    """The small convolutional network of Keras's own MNIST tutorial."""
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


def train(model: Any, *, count: int = 12_000, epochs: int = 3) -> None:
    """Train on digits that are drawn here, so that nothing is downloaded."""
    drawn = synth.digits(count, seed=1)
    model.fit(to_batch(drawn.glyphs), drawn.labels, epochs=epochs, batch_size=64)


def to_batch(glyphs: np.ndarray) -> np.ndarray:
    """Glyphs of 0..255 as the network takes them, ink bright: (n, 28, 28, 1) in 0..1."""
    return glyphs.astype(np.float32).reshape(-1, 28, 28, 1) / 255


def main(path: Path) -> None:
    """Train, export, read the samples."""
    model = build()
    train(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    model.export(str(path), format="onnx")
    reader = Reader(path)  # finds the digit, normalises it as MNIST, asks your model
    for picture in sorted(SAMPLES.glob("*.png")):
        print(picture.name, repr(reader.digit(picture)))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out/keras.onnx"))
