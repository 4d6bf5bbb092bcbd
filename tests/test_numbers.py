"""Two models' texts to numbers: ranking, outcomes, boxes, alternatives, patterns. Models are hand-written."""

import cv2
import numpy as np
import pytest

from handigit.card import Card, Combination, Threshold
from handigit.errors import PatternError
from handigit.images.strip import make_strip
from handigit.read import Reader
from handigit.read.crops import CropStrips, read_crops
from handigit.read.ctc import Hypothesis
from handigit.read.hypotheses import Reading, rank_candidates, read_strips
from handigit.read.number_engine import NumberEngine
from handigit.read.numbers import ReadOptions, features, is_blank, likely_numbers, to_number
from handigit.read.patterns import parse_pattern
from handigit.records import Box, Number, Outcome

ALPHABET = "0123456789.,-/=$x? "
CARD = Card(
    task="number",
    name="by hand",
    architecture="none",
    alphabet=ALPHABET,
    input=(1, 48, 0),
    thresholds=(Threshold(target_error=0.01, confidence=0.9),),
)
BOTH = Combination(partner="", weight=0.5, floor=0.01, coefficients={"logit": 1.0})


def frames(path: str, *, sure: float = 0.999) -> np.ndarray:
    shares = np.full((len(path), len(ALPHABET) + 1), (1 - sure) / len(ALPHABET))
    for row, character in zip(shares, path, strict=True):
        row[0 if character == "_" else 1 + ALPHABET.index(character)] = sure
    return shares


class FakeEngine(NumberEngine):
    """A model that answers every picture with the same frames."""

    def __init__(self, path: str, *, sure: float) -> None:
        self.card, self.frames = CARD, frames(path, sure=sure)

    def probabilities(self, pictures):
        """The frames, for each picture."""
        return [self.frames for _ in pictures]

    def padded_width(self, width: int) -> int:
        """No padding."""
        return width


class LookingEngine(NumberEngine):
    """A model that answers its first picture with some frames, and each later one with others."""

    def __init__(self, first: np.ndarray, later: np.ndarray) -> None:
        self.card, self.first, self.later, self.seen = CARD, first, later, 0

    def probabilities(self, pictures):
        """The frames of each picture."""
        answers = [self.later if self.seen or index else self.first for index, _ in enumerate(pictures)]
        self.seen += len(pictures)
        return answers


@pytest.fixture(scope="module")
def crop() -> np.ndarray:
    page = np.full((60, 200), 230, np.uint8)
    cv2.putText(page, "12.7", (40, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 30, 2, cv2.LINE_AA)
    return page


def read(crop, path: str, *, sure: float = 0.999, pattern: str | None = None) -> Number:
    constraint = parse_pattern(pattern) if pattern else None
    (reading,) = read_strips(FakeEngine(path, sure=sure), [make_strip(crop)], constraint=constraint)
    options = ReadOptions(constraint=constraint)
    return to_number(reading, rank_candidates(reading.hypotheses), CARD, options, size=crop.shape)


def weigh(crop, *hypotheses: tuple[str, float], card: Card = CARD) -> Number:
    texts = [Hypothesis(raw, probability) for raw, probability in hypotheses]
    strip = make_strip(crop)
    reading = Reading(strip, frames("__1__2__7__"), strip.width / 11, texts)
    return to_number(reading, rank_candidates(texts), card, ReadOptions(), size=crop.shape)


def test_confident_number_is_read_and_raw_keeps_separators(crop) -> None:
    number = read(crop, "___1__2_._7__")
    assert (number.outcome, number.text, number.raw) == (Outcome.READ, "127", "12.7")
    assert [digit.value for digit in number.digits] == [1, 2, 7]
    lefts = [digit.box.left for digit in number.digits if digit.box]
    assert lefts == sorted(lefts)
    assert len(lefts) == 3
    assert all(sum(digit.probabilities) == pytest.approx(1) for digit in number.digits)


def test_boxes_enclose_the_ink(crop) -> None:
    box = read(crop, "___1__2_._7__").box
    rows, columns = np.nonzero(crop < 150)
    assert box is not None
    assert box.left <= columns.min() <= box.left + 4
    assert box.right - 4 <= columns.max() + 1 <= box.right
    assert box.top <= rows.min() <= box.top + 4


def test_uncertain_number_is_a_doubt_with_text(crop) -> None:
    number = read(crop, "__1__2_", sure=0.8)
    assert (number.outcome, number.text) == (Outcome.DOUBT, "12")


@pytest.mark.parametrize("path", ["__?__", "__x_-_", "_1_?_", "?_1_2_?"])
def test_probable_non_number_is_not_a_number(crop, path) -> None:
    number = read(crop, path)
    assert (number.outcome, number.text, number.digits) == (Outcome.NOT_A_NUMBER, "", ())


@pytest.mark.parametrize("path", ["1_2_?_7", "?_1_2_7", "1_2_7_?"])
def test_one_unknown_mark_beside_clear_digits_is_a_doubt_with_them(crop, path) -> None:
    number = read(crop, path)
    assert (number.outcome, number.text) == (Outcome.DOUBT, "127")
    assert number.raw == path.replace("_", "")
    assert number.confidence < 0.1


def test_empty_cell_within_a_number_is_a_doubt_that_shows_it(crop) -> None:
    number = read(crop, "_1_2_ _7_")
    assert (number.outcome, number.text, number.raw) == (Outcome.DOUBT, "127", "12 7")


def test_crop_is_blank_only_if_nothing_contradicts_it(crop) -> None:
    nothing, something = [Hypothesis("", 0.9), Hypothesis("1", 0.1)], [Hypothesis("", 0.2), Hypothesis("1", 0.8)]
    first = Reading(make_strip(crop), frames("__"), 100.0, nothing)
    assert is_blank(first, None)
    assert is_blank(first, Reading(make_strip(crop), frames("__"), 50.0, nothing))
    assert not is_blank(first, Reading(make_strip(crop), frames("_1"), 50.0, something))
    assert not is_blank(Reading(make_strip(crop), frames("_1"), 100.0, something), None)


def test_texts_that_differ_only_in_separators_are_merged(crop) -> None:
    number = weigh(crop, ("12.7", 0.5), ("127", 0.45), ("17", 0.05))
    assert (number.text, number.raw, number.confidence) == ("127", "12.7", pytest.approx(0.95))
    assert number.alternatives == (("17", pytest.approx(0.05)),)


def test_alternatives_share_the_remaining_confidence(crop) -> None:
    found = ("127", 0.5), ("121", 0.3), ("721", 0.2)
    number = weigh(crop, *found, card=CARD.model_copy(update={"shift": -1.0}))
    assert number.confidence == pytest.approx(0.2689, abs=1e-4)
    assert [text for text, _ in number.alternatives] == ["121", "721"]
    assert all(share <= number.confidence for _, share in number.alternatives)
    number = weigh(crop, *found, card=CARD.model_copy(update={"shift": 2.0}))
    assert number.confidence + sum(share for _, share in number.alternatives) == pytest.approx(1)


def test_two_models_that_agree_are_surer_than_one() -> None:
    first = [Hypothesis("127", 0.7), Hypothesis("721", 0.3)]
    alone, both = rank_candidates(first), rank_candidates(first, [Hypothesis("127", 0.9)], BOTH)
    assert both[0].text == "127"
    assert both[0].probability > alone[0].probability == pytest.approx(0.7)
    assert sum(candidate.probability for candidate in both) == pytest.approx(1, abs=1e-3)


def test_second_model_decides_between_close_texts_but_has_no_veto() -> None:
    close = [Hypothesis("127", 0.52), Hypothesis("721", 0.48)]
    assert rank_candidates(close, [Hypothesis("721", 0.9)], BOTH)[0].text == "721"
    clear = [Hypothesis("127", 0.999), Hypothesis("721", 0.001)]
    assert rank_candidates(clear, [Hypothesis("721", 1.0)], BOTH)[0].text == "127"


def test_features_say_whether_the_models_agree() -> None:
    first = [Hypothesis("127", 0.98), Hypothesis("721", 0.02)]
    for second, agree in (("127", 1.0), ("721", 0.0)):
        candidates = rank_candidates(first, [Hypothesis(second, 0.9)], BOTH)
        best = likely_numbers(candidates)[0]
        assert features(best, candidates)["agree"] == agree


def test_pattern_that_the_picture_contradicts_is_not_read(crop) -> None:
    assert read(crop, "_1_2_7_", pattern=r"\d{3}").outcome is Outcome.READ
    short = read(crop, "_1_2_7_", pattern=r"\d{2}")
    assert short.outcome is not Outcome.READ
    assert short.confidence < 0.1


def test_pattern_settles_what_the_picture_leaves_open(crop) -> None:
    free, held = weigh(crop, ("127", 0.7), ("12/7", 0.3)), read(crop, "_1_2_7_", sure=0.97, pattern=r"\d{3}")
    assert held.text == free.text == "127"
    assert held.confidence > read(crop, "_1_2_7_", sure=0.97).confidence


def test_map_boxes_transforms_digits_too() -> None:
    moved = Number(Outcome.READ, "1", 1.0, box=Box(0, 0, 5, 9)).map_boxes(
        lambda box: Box(box.left + 10, box.top + 20, box.right + 10, box.bottom + 20)
    )
    assert moved.box == Box(10, 20, 15, 29)


def test_error_names_an_unknown_character_of_the_alphabet() -> None:
    with pytest.raises(PatternError, match="the alphabet '12a' contains 'a'; the model knows 0123456789"):
        Reader().number(np.zeros((40, 90), np.uint8), alphabet="12a")


def test_a_look_that_sees_nothing_does_not_blank_what_was_seen(crop) -> None:
    engine = LookingEngine(frames("_1_2_7_", sure=0.8), frames("_______"))
    (pair,) = read_crops(engine, None, [CropStrips.of(crop)])
    assert engine.seen > 1
    assert pair.first.hypotheses[0].text == "127"


@pytest.mark.parametrize(("second", "looks"), [("_1_2_7_", 1), ("_1_2_1_", 2)])
def test_a_crop_is_looked_at_again_where_the_models_differ(crop, second, looks) -> None:
    engine = LookingEngine(frames("_1_2_7_", sure=0.8), frames("_1_2_7_"))
    read_crops(engine, FakeEngine(second, sure=0.999), [CropStrips.of(crop)])
    assert min(engine.seen, 2) == looks
