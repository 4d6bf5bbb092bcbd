"""The card: round trip, old and new formats, thresholds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handigit.card import Card, Threshold
from handigit.errors import ModelError

SHARE = st.floats(0.001, 0.999)


@given(
    name=st.text(),
    temperature=st.floats(0.05, 20),
    pairs=st.lists(st.tuples(SHARE, SHARE), max_size=5),
    digit_floor=st.floats(0, 1),
)
def test_card_json_round_trip(name, temperature, pairs, digit_floor) -> None:
    thresholds = tuple(Threshold(target_error=error, confidence=confidence) for error, confidence in pairs)
    card = Card(name=name, architecture="cnn", temperature=temperature, thresholds=thresholds, digit_floor=digit_floor)
    assert Card.from_json(card.to_json(), source="test") == card


def test_card_of_the_first_format_is_readable() -> None:
    text = '{"format": 1, "task": "digit", "name": "old", "architecture": "cnn", "thresholds": []}'
    assert Card.from_json(text, source="old.onnx").name == "old"


def test_error_for_a_later_format_advises_update() -> None:
    with pytest.raises(ModelError, match=r"new.onnx: card format 99 is newer than 1; update handigit"):
        Card.from_json('{"format": 99, "name": "x", "architecture": "y"}', source="new.onnx")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "x"}', '{"name":"x","architecture":"y","temperature":0}'])
def test_error_for_an_invalid_card(text) -> None:
    with pytest.raises(ModelError, match=r"bad.onnx: its card is not valid at .*; export the model again"):
        Card.from_json(text, source="bad.onnx")


def test_threshold_for_a_target_error() -> None:
    bought = tuple(Threshold(target_error=e, confidence=c) for e, c in ((0.05, 0.4), (0.01, 0.8), (0.001, 0.99)))
    card = Card(name="x", architecture="y", thresholds=bought)
    assert card.threshold(0.01) == 0.8
    assert card.threshold(0.03) == 0.8, "between two measured rates the stricter one holds"
    assert card.threshold(0.5) == 0.4
    assert card.threshold(0.0001) == 0.99, "stricter than measured: the strictest stands"


def test_without_thresholds_confidence_is_used_directly() -> None:
    assert Card(name="x", architecture="y").threshold(0.01) == pytest.approx(0.99)
