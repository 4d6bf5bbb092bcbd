"""Rescoring uncertain lines with the digit model."""

import numpy as np
import pytest

from handigit.read.ctc import Hypothesis
from handigit.read.engine import Engine
from handigit.read.reader import EMBEDDED
from handigit.read.second_opinion import UNCERTAIN_BELOW, rescore_with_digit_model
from handigit.synth.number_texts import ALPHABET
from handigit.synth.sets import digits


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(EMBEDDED / "digit.onnx", threads=1)


@pytest.fixture(scope="module")
def clear(engine: Engine) -> dict[int, np.ndarray]:
    """A drawn glyph of each digit, of which the digit model is sure."""
    drawn = digits(300, seed=4)
    pixels = drawn.glyphs.astype(np.float32) / 255
    shares = engine.probabilities(pixels)
    sure = {}
    for glyph, label, share in zip(pixels, drawn.labels.tolist(), shares, strict=True):
        if share[label] > 0.98:
            sure.setdefault(label, glyph)
    return sure


def line_of(glyphs: list[np.ndarray]) -> np.ndarray:
    """Digits side by side with paper between them, as high as in a line."""
    return np.concatenate([np.pad(glyph[4:24, 2:26], ((6, 6), (2, 2))) for glyph in glyphs], axis=1)


def frames(texts: list[str], width: int) -> np.ndarray:
    """Frames that are blank between characters; the characters of all texts are equally probable."""
    count = width // 2
    shares = np.zeros((count, 1 + len(ALPHABET)))
    shares[:, 0] = 1
    for place in range(len(texts[0])):
        frame = round((place + 0.5) * count / len(texts[0]))
        shares[frame] = 0
        for text in texts:
            shares[frame, 1 + ALPHABET.index(text[place])] += 1 / len(texts)
    return shares


def doubts(first: str, second: str) -> list[Hypothesis]:
    return [Hypothesis(first, 0.5), Hypothesis(second, 0.3), Hypothesis("?", 0.1)]


def test_text_that_the_digit_model_prefers_comes_first(engine, clear) -> None:
    line = line_of([clear[3], clear[5]])
    found = rescore_with_digit_model(engine, line, frames(["38", "35"], line.shape[1]), doubts("38", "35"), ALPHABET)
    assert [one.raw for one in found] == ["35", "38", "?"]
    assert found[0].probability > 2 * found[1].probability
    assert sum(one.probability for one in found) == pytest.approx(0.9)


def test_rescoring_never_exceeds_a_doubt(engine, clear) -> None:
    line = line_of([clear[3], clear[5]])
    texts = [Hypothesis("35", 0.85), Hypothesis("38", 0.14)]
    best = rescore_with_digit_model(engine, line, frames(["35", "38"], line.shape[1]), texts, ALPHABET)[0]
    assert best.probability == UNCERTAIN_BELOW


def test_certain_text_is_unchanged(engine, clear) -> None:
    line = line_of([clear[3], clear[5]])
    texts = [Hypothesis("38", 0.95), Hypothesis("35", 0.04)]
    assert rescore_with_digit_model(engine, line, frames(["38", "35"], line.shape[1]), texts, ALPHABET) == texts


def test_touching_digits_are_not_rescored(engine, clear) -> None:
    line = line_of([clear[3], clear[5]])
    line[24:27, 10:42] = 1
    texts = doubts("38", "35")
    assert rescore_with_digit_model(engine, line, frames(["38", "35"], line.shape[1]), texts, ALPHABET) == texts


@pytest.mark.parametrize("texts", [[], [Hypothesis("7", 0.6)], [Hypothesis("7", 0.5), Hypothesis("71", 0.4)]])
def test_texts_without_a_disputed_digit_are_unchanged(engine, texts) -> None:
    line = np.zeros((32, 48), np.float32)
    assert rescore_with_digit_model(engine, line, frames(["77"], 48), texts, ALPHABET) == texts


def test_texts_of_probability_zero_are_unchanged(engine, clear) -> None:
    line = line_of([clear[3], clear[5]])
    texts = [Hypothesis("38", 0.0), Hypothesis("35", 0.0)]
    assert rescore_with_digit_model(engine, line, frames(["38", "35"], line.shape[1]), texts, ALPHABET) == texts


def test_loose_bar_belongs_to_its_digit(engine, clear) -> None:
    """A loose stroke belongs to the nearest character, so a broken digit is complete."""
    broken = clear[5].copy()
    rows = np.flatnonzero(broken.any(axis=1))
    broken[rows[0] + 5] = 0
    line = line_of([clear[3], broken])
    found = rescore_with_digit_model(engine, line, frames(["36", "35"], line.shape[1]), doubts("36", "35"), ALPHABET)
    assert found[0].raw == "35"
