"""The number models inside the package: cards, the run they came from, and what they must and must not read."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from handigit import Outcome, Reader
from handigit.read.engine import EMBEDDED
from handigit.read.reader import SECOND_MODEL
from handigit.synth.crops import Mix, draw_crop
from handigit.synth.write_number import LineStyle, write_number
from handigit.train.run import Run
from handigit.train.trainer import load_model

PUBLISHED = Path(__file__).parents[1] / "published" / "number"


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(threads=1)


def handwriting(text: str, *, seed: int, margin: float = 0.2, height_px: int = 40) -> np.ndarray:
    """A number by the synthetic pen, cut `margin` heights from its ink."""
    rng = np.random.default_rng(seed)
    style = LineStyle(gap=0.2, gap_sd=0.03, drift_sd=0.01, size_sd=0.02, lean=0.0, wide=1.0)
    coverage = write_number(text, rng, height_px=height_px, style=style).coverage
    x, y, width, height = cv2.boundingRect((coverage > 64).view(np.uint8))
    return 255 - np.pad(coverage[y : y + height, x : x + width], round(margin * height))


def test_card_is_complete(reader: Reader) -> None:
    card = reader.number_engine.card
    assert (card.name, card.architecture, card.input) == ("handigit-number", "ppocr-small", (1, 48, 0))
    assert "Apache-2.0" in card.licence
    assert card.combination is not None
    assert reader.second_engine is not None
    assert reader.second_engine.digest == card.combination.partner
    targets = [threshold.target_error for threshold in card.thresholds]
    assert min(targets) <= 0.0005
    assert max(targets) >= 0.2
    confidences = [
        threshold.confidence for threshold in sorted(card.thresholds, key=lambda threshold: threshold.target_error)
    ]
    assert confidences == sorted(confidences, reverse=True)


def test_models_are_small() -> None:
    assert sum((EMBEDDED / name).stat().st_size for name in ("number.onnx", SECOND_MODEL)) < 16_000_000


def test_model_is_the_published_run(reader: Reader) -> None:
    model = load_model(Run.open(PUBLISHED))
    strip = np.random.default_rng(0).uniform(-1, 1, (48, 160)).astype(np.float32)
    with torch.no_grad():
        trained = torch.softmax(model(torch.from_numpy(strip)[None, None]), -1)[0].numpy()
    shipped = reader.number_engine.probabilities([strip])[0]  # in eight bits, and calibrated by a temperature
    np.testing.assert_array_equal(shipped.argmax(-1), trained.argmax(-1))
    np.testing.assert_allclose(shipped, trained, atol=0.1)


@pytest.mark.parametrize(("text", "right"), [("1", 6), ("11", 6), ("111", 6), ("1111", 4), ("171", 6), ("1417", 6)])
def test_uprights_are_never_blank_and_rarely_misread(reader: Reader, text: str, right: int) -> None:
    numbers = reader.numbers_on([handwriting(text, seed=seed) for seed in range(8)])
    assert all(number.outcome is not Outcome.BLANK for number in numbers)
    assert all(number.text == text for number in numbers if number.outcome is Outcome.READ)
    assert sum(number.text == text for number in numbers) >= right


@pytest.mark.parametrize("text", ["7", "208", "96", "5301", "15728", "1990"])
def test_margins_do_not_change_the_number(reader: Reader, text: str) -> None:
    margins = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.8, 1.2)
    crops = [handwriting(text, seed=seed, margin=margin) for margin in margins for seed in (1, 2)]
    assert {number.text for number in reader.numbers_on(crops)} == {text}


def test_faint_small_ink_in_a_large_cell_is_read(reader: Reader) -> None:
    pages = []
    for seed in range(3, 9):
        small = handwriting("472", seed=seed, height_px=14)
        page = np.full((64, 150), 232, np.uint8)
        page[30 : 30 + small.shape[0], 50 : 50 + small.shape[1]] -= ((255 - small) // 3).astype(np.uint8)
        pages.append(page)
    numbers = reader.numbers_on(pages)
    assert sum(number.text == "472" for number in numbers) >= 5
    assert all(number.text == "472" for number in numbers if number.outcome is Outcome.READ)


@pytest.mark.parametrize("pattern", [r"\d{4}", "YYYY", "[0-4]+"])
def test_patterns_force_no_lie(reader: Reader, pattern: str) -> None:
    numbers = [reader.numbers_on([handwriting("57839", seed=seed)], pattern=pattern)[0] for seed in range(6)]
    assert all(number.outcome is not Outcome.READ for number in numbers)


def test_patterns_that_fit_change_nothing(reader: Reader) -> None:
    crop = handwriting("57839", seed=1)
    free, held = reader.numbers_on([crop])[0], reader.numbers_on([crop], pattern=r"\d{5}")[0]
    assert free.text == held.text == "57839"
    assert held.confidence >= free.confidence - 0.02


def test_forbidden_characters_force_no_lie(reader: Reader) -> None:
    numbers = reader.numbers_on([handwriting("1990", seed=seed) for seed in range(6)], alphabet="0-4")
    assert all(number.outcome is not Outcome.READ for number in numbers)


def test_separators_may_be_asked_for(reader: Reader) -> None:
    number = reader.numbers_on([handwriting("3.50", seed=2)], pattern=r"\d+\.\d{2}")[0]
    assert (number.raw, number.text) == ("3.50", "350")


def test_single_and_batched_crops_agree(reader: Reader) -> None:
    crops = [handwriting(text, seed=7) for text in ("1", "204", "86", "7750123", "204")]
    together = reader.numbers_on(crops)
    for crop, number in zip(crops, together, strict=True):
        alone = reader.numbers_on([crop])[0]
        assert (alone.text, alone.outcome) == (number.text, number.outcome)
        assert alone.confidence == pytest.approx(number.confidence, abs=1e-5)


def test_non_numbers_are_rarely_read(reader: Reader) -> None:
    rng = np.random.default_rng(4)
    for mix in (Mix(nothing=1.0), Mix(nothing=0.0, no_number=1.0)):
        numbers = reader.numbers_on([draw_crop(rng, mix=mix).pixels for _ in range(60)])
        assert sum(number.outcome is Outcome.READ for number in numbers) <= 3


def test_the_second_model_reads_alone_too(tmp_path: Path) -> None:
    (tmp_path / "number.onnx").write_bytes((EMBEDDED / SECOND_MODEL).read_bytes())
    number = Reader(tmp_path, threads=1).numbers_on([handwriting("5304", seed=3)])[0]
    assert number.text == "5304"
