"""A model of another framework: Keras's own export of the tutorials' network is evaluated and reads."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from handigit import Reader
from handigit.cli import DONE, run
from handigit.data import Dataset, save_npz
from handigit.read import Engine
from handigit.synth import digits

# In a process of its own: Keras picks its backend when first imported, and its tracing leaves global state behind.
TRAIN_AND_EXPORT = """
import sys
import keras
import numpy as np
from handigit.synth import digits

drawn = digits(4000, seed=1)
layers = keras.layers
shapes = {"image": [(28, 28, 1), (-1, 28, 28, 1)], "flat": [(784,), (-1, 784)]}
shape, batch = shapes[sys.argv[2]]
body = [layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(2), layers.Flatten()] if len(shape) == 3 else []
model = keras.Sequential([layers.Input(shape), *body, layers.Dense(64, activation="relu"),
                          layers.Dense(10, activation="softmax")])
model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(drawn.glyphs.reshape(batch) / 255, drawn.labels, epochs=3, batch_size=64, verbose=0)
model.export(sys.argv[1], format="onnx", verbose=False)
np.save(sys.argv[1] + ".npy", model.predict(digits(300, seed=2).glyphs.reshape(batch) / 255, verbose=0))
"""


@pytest.fixture(scope="module", params=["image", "flat"])
def exported(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("keras") / f"{request.param}.onnx"
    environment = {**os.environ, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1", "KERAS_HOME": str(path.parent)}
    command = [sys.executable, "-W", "ignore", "-c", TRAIN_AND_EXPORT, str(path), request.param]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return path


@pytest.mark.slow
def test_a_keras_model_gives_what_keras_gives(exported: Path) -> None:
    engine = Engine(exported)
    assert engine.card.output == "probabilities"
    glyphs = digits(300, seed=2).glyphs.astype(np.float32) / 255
    expected = np.load(f"{exported}.npy")
    assert np.allclose(np.exp(engine.logits(glyphs)), expected, atol=1e-4)


@pytest.mark.slow
def test_a_keras_model_is_evaluated_and_reads(exported: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    drawn = digits(200, seed=3)
    save_npz(Dataset("drawn", drawn.glyphs, drawn.labels), tmp_path / "drawn.npz")
    assert run(["evaluate", str(exported), "--data", "drawn.npz", "--report", "report"]) == DONE
    assert (tmp_path / "report" / "report.html").is_file()
    read = Reader(exported).digits(list(drawn.glyphs))
    right = np.mean([digit.value == label for digit, label in zip(read, drawn.labels, strict=True)])
    assert right > 0.7
