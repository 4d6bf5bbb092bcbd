"""The digit model inside the package: size, card, the run it came from, minimum accuracy."""

from pathlib import Path

import numpy as np
import pytest
import torch

from handigit import Outcome, Reader
from handigit.data import load
from handigit.synth import digits, nondigits
from handigit.train.digit_task import Samples, predict_logits
from handigit.train.run import Run
from handigit.train.trainer import start_model

PUBLISHED = Path(__file__).parents[1] / "published" / "digit"


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


def test_model_is_small_and_its_card_complete(reader: Reader) -> None:
    assert reader.model_path.stat().st_size <= 1_200_000
    card = reader.engine.card
    assert card.name == "handigit-digit"
    assert card.parameters == 195_066
    assert card.thresholds
    assert card.digit_floor > 0.1
    assert card.data
    assert card.scores["validation_accuracy"] > 0.98


def test_model_is_the_published_run(reader: Reader) -> None:
    run = Run.open(PUBLISHED)
    assert run.finished
    glyphs = digits(200, seed=42).glyphs
    samples = Samples(torch.from_numpy(glyphs), torch.zeros(200, dtype=torch.int64))
    trained = predict_logits(start_model(run.recipe, from_run=run), samples).numpy()
    ours = reader.engine.logits(glyphs.astype(np.float32) / 255)  # in eight bits
    assert (ours.argmax(1) == trained.argmax(1)).mean() >= 0.98
    assert np.abs(ours - trained).mean() < 0.25
    assert reader.engine.card.data == run.metadata["data"]


def test_digits_of_unseen_writers_are_read(reader: Reader) -> None:
    drawn = digits(500, seed=12345)
    read = reader.digits(list(drawn.glyphs))
    right = [digit.value == label for digit, label in zip(read, drawn.labels.tolist(), strict=True)]
    assert np.mean(right) > 0.96


def test_nondigits_are_rarely_read(reader: Reader) -> None:
    read = reader.digits(list(255 - nondigits(500, seed=12345).glyphs))
    assert np.mean([digit.outcome is Outcome.READ for digit in read]) < 0.1


@pytest.mark.data
def test_accuracy_on_mnist(reader: Reader, data_folder: Path) -> None:
    test = load("mnist", folder=data_folder, part="test")
    assert test.labels is not None
    answers = reader.engine.logits(test.as_floats()).argmax(axis=1)
    assert np.mean(answers == test.labels) >= 0.995
    raw = np.array(
        [digit.value if digit.value is not None else -1 for digit in reader.digits(list(test.glyphs[:2000]))]
    )
    assert np.mean(raw == test.labels[:2000]) >= np.mean(answers[:2000] == test.labels[:2000]) - 0.002
