"""Decoded lines to numbers: outcomes, boxes, alternatives, test-time augmentation, cells. Models are hand-written."""

import cv2
import numpy as np
import pytest

from handigit.card import Card, Threshold
from handigit.errors import PatternError
from handigit.read import Reader
from handigit.read.cells import join_cells, pick_line_or_cells
from handigit.read.ctc import Hypothesis, parse_pattern
from handigit.read.engine import LineEngine
from handigit.read.hypotheses import DecodedLine, apply_slash_prior, decode_lines
from handigit.read.numbers import BLANK, CropWithLine, ReadOptions, best_number, to_number
from handigit.records import Box, Number, Outcome

ALPHABET = "0123456789.,-/=$x?"
CARD = Card(
    task="number",
    name="by hand",
    architecture="none",
    alphabet=ALPHABET,
    thresholds=(Threshold(target_error=0.01, confidence=0.9),),
)


def frames(path: str, *, sure: float = 0.999) -> np.ndarray:
    shares = np.full((len(path), len(ALPHABET) + 1), (1 - sure) / len(ALPHABET))
    for row, character in zip(shares, path, strict=True):
        row[0 if character == "_" else 1 + ALPHABET.index(character)] = sure
    return shares


class Spoken(LineEngine):
    """A fake model: one text per call, the last one repeatedly; it counts its lines."""

    def __init__(self, *paths: str, sure: float) -> None:
        self.card, self.paths, self.sure, self.shown = CARD, list(paths), sure, 0

    def probabilities(self, lines, *, excluded=()):  # noqa: ARG002
        """Frames for each line."""
        self.shown += len(lines)
        return [frames(self.paths.pop(0) if len(self.paths) > 1 else self.paths[0], sure=self.sure) for _ in lines]


def looked(path: str, *, sure: float = 0.999) -> DecodedLine:
    return decode_lines(Spoken(path, sure=sure), [np.zeros((32, 40), np.float32)])[0]


@pytest.fixture(scope="module")
def seen() -> CropWithLine:
    page = np.full((60, 200), 230, np.uint8)
    cv2.putText(page, "12.7", (40, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 30, 2, cv2.LINE_AA)
    return CropWithLine.of(page)


def test_confident_number_is_read_and_raw_keeps_separators(seen) -> None:
    number = to_number(seen, looked("__1__2_._7__"), CARD, ReadOptions())
    assert (number.outcome, number.text, number.raw) == (Outcome.READ, "127", "12.7")
    assert [digit.value for digit in number.digits] == [1, 2, 7]
    lefts = [digit.box.left for digit in number.digits if digit.box]
    assert lefts == sorted(lefts)
    assert len(lefts) == 3
    assert all(sum(digit.probabilities) == pytest.approx(1) for digit in number.digits)


def test_uncertain_number_is_a_doubt_with_text(seen) -> None:
    number = to_number(seen, looked("__1__2_", sure=0.8), CARD, ReadOptions())
    assert (number.outcome, number.text) == (Outcome.DOUBT, "12")


@pytest.mark.parametrize("path", ["__?__", "__x_-_", "_1_?_"])
def test_probable_non_number_is_not_a_number(seen, path) -> None:
    number = to_number(seen, looked(path), CARD, ReadOptions())
    assert (number.outcome, number.text, number.digits) == (Outcome.NOT_A_NUMBER, "", ())


def test_line_decoded_as_empty_is_blank(seen) -> None:
    assert to_number(seen, looked("______"), CARD, ReadOptions()) is BLANK


def test_texts_that_differ_only_in_separators_are_merged(seen) -> None:
    both = DecodedLine([Hypothesis("1.2", 0.5), Hypothesis("12", 0.45), Hypothesis("1", 0.05)], frames("_1._2_"))
    number = to_number(seen, both, CARD, ReadOptions())
    assert (number.text, number.raw, number.confidence) == ("12", "1.2", pytest.approx(0.95))
    assert number.alternatives == (("1", pytest.approx(0.05)),)
    best = best_number(both.hypotheses)
    assert best is not None
    assert best.probability == pytest.approx(0.95)


def test_confident_line_is_decoded_once() -> None:
    engine = Spoken("_7_", sure=0.9999)
    assert decode_lines(engine, [np.zeros((32, 40), np.float32)])[0].hypotheses[0].text == "7"
    assert engine.shown == 1


def test_uncertain_line_is_decoded_again_and_outvoted() -> None:
    engine = Spoken("_7_", "_1_", "_1_", sure=0.8)
    assert decode_lines(engine, [np.zeros((32, 40), np.float32)])[0].hypotheses[0].text == "1"
    assert engine.shown == 3


def part(text: str, left: int, confidence: float = 0.9, raw: str | None = None) -> Number:
    outcome = Outcome.READ if text else Outcome.NOT_A_NUMBER
    return Number(outcome, text, confidence, raw=text if raw is None else raw, box=Box(left, 0, left + 10, 20))


def test_cells_are_joined_in_order_without_fillers() -> None:
    number = join_cells([part("7", 80), part("", 0, raw="x"), part("4", 40)])
    assert number is not None
    assert (number.text, number.outcome) == ("47", Outcome.DOUBT)
    assert number.confidence == pytest.approx(0.81)
    assert number.box == Box(40, 0, 90, 20)


def test_word_in_cells_is_not_a_number() -> None:
    assert join_cells([part("7", 0), part("", 40, raw="?")]) is None
    assert join_cells([part("", 0, raw="x")]) is None


def test_more_confident_of_line_and_cells_wins_and_difference_is_a_doubt() -> None:
    line = Number(Outcome.READ, "127", 0.95, box=Box(0, 0, 100, 20))
    same = pick_line_or_cells(line, Number(Outcome.DOUBT, "127", 0.5), ReadOptions(), CARD)
    assert (same.text, same.outcome, same.confidence) == ("127", Outcome.READ, 0.95)
    weaker = pick_line_or_cells(line, Number(Outcome.DOUBT, "27", 0.5), ReadOptions(), CARD)
    assert (weaker.text, weaker.outcome) == ("127", Outcome.DOUBT)
    stronger = pick_line_or_cells(line, Number(Outcome.DOUBT, "1127", 0.99), ReadOptions(), CARD)
    assert (stronger.text, stronger.outcome) == ("1127", Outcome.DOUBT)
    assert (
        pick_line_or_cells(
            line, Number(Outcome.DOUBT, "1127", 0.99), ReadOptions(constraint=parse_pattern(r"\d{3}")), CARD
        )
        is line
    )
    assert pick_line_or_cells(line, None, ReadOptions(), CARD) is line


@pytest.mark.parametrize(("confidence", "text"), [(0.6, "2078"), (0.2, "0")])
def test_cells_with_fewer_digits_win_only_over_an_unlikely_line(confidence, text) -> None:
    line = Number(Outcome.DOUBT, "2078", confidence, box=Box(0, 0, 100, 20))
    found = pick_line_or_cells(line, Number(Outcome.DOUBT, "0", 0.99), ReadOptions(), CARD)
    assert (found.text, found.outcome) == (text, Outcome.DOUBT)


def test_map_boxes_transforms_digits_too() -> None:
    moved = Number(Outcome.READ, "1", 1.0, box=Box(0, 0, 5, 9)).map_boxes(
        lambda box: Box(box.left + 10, box.top + 20, box.right + 10, box.bottom + 20)
    )
    assert moved.box == Box(10, 20, 15, 29)


def test_alphabet_excludes_other_characters_but_never_unknown() -> None:
    engine = Reader().line_engine
    excluded = engine.excluded_classes("0123456789")
    left_out = {engine.card.alphabet[place - 1] for place in excluded}
    assert left_out == set(engine.card.alphabet) - set("0123456789?")
    lines = [np.random.default_rng(0).random((32, 80), np.float32)]
    free, held = engine.probabilities(lines)[0], engine.probabilities(lines, excluded=excluded)[0]
    assert np.all(held[:, list(excluded)] == 0)
    kept = [place for place in range(free.shape[1]) if place not in excluded]
    np.testing.assert_allclose(held[:, kept], free[:, kept] / free[:, kept].sum(axis=1, keepdims=True), rtol=1e-6)


def test_error_names_an_unknown_character_of_the_alphabet() -> None:
    with pytest.raises(PatternError, match="the alphabet '12a' contains 'a'; the model knows 0123456789"):
        Reader().number(np.zeros((40, 90), np.uint8), alphabet="12a")


def test_alternatives_share_the_remaining_confidence(seen) -> None:
    found = [Hypothesis("127", 0.5), Hypothesis("121", 0.3), Hypothesis("721", 0.2)]
    unsure = CARD.model_copy(update={"shift": -1.0})
    number = to_number(seen, DecodedLine(found, frames("__1__2__7__")), unsure, ReadOptions())
    assert number.confidence == pytest.approx(0.2689, abs=1e-4)
    assert [text for text, _ in number.alternatives] == ["121", "721"]
    assert all(share <= number.confidence for _, share in number.alternatives)
    surer_card = CARD.model_copy(update={"shift": 2.0})
    number = to_number(seen, DecodedLine(found, frames("__1__2__7__")), surer_card, ReadOptions())
    assert number.confidence + sum(share for _, share in number.alternatives) == pytest.approx(1)


@pytest.mark.parametrize(
    ("likelier", "stays"), [("845/557", False), ("12/34", True), ("3/11/26", True), ("85/100=", True)]
)
def test_unusual_slash_becomes_a_1(likelier, stays) -> None:
    other = likelier.replace("/", "1")
    found = apply_slash_prior([Hypothesis(likelier, 0.6), Hypothesis(other, 0.3), Hypothesis("?", 0.05)])
    assert [one.raw for one in found[:2]] == ([likelier, other] if stays else [other, likelier])
    assert sum(one.probability for one in found) == pytest.approx(0.95)


def test_certain_slash_stays() -> None:
    found = apply_slash_prior([Hypothesis("845/557", 0.97), Hypothesis("8451557", 0.02)])
    assert found[0].raw == "845/557"
