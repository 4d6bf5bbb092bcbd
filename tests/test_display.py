"""Results as people meet them in Python: one line, the value, a table, a picture; equal, hashable, picklable."""

import pickle
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import handigit
from handigit.records import Box, Digit, Number, Outcome

PROJECT = Path(__file__).parents[1]
TOUCHING = PROJECT / "samples" / "numbers" / "touching-digits.png"
GLYPH = np.zeros((28, 28), np.float32)


def digit(**changes: object) -> Digit:
    fields = {"outcome": Outcome.READ, "value": 7, "confidence": 0.98, "probabilities": (0.002,) * 10, "box": None}
    return Digit(**(fields | {"glyph": GLYPH} | changes))  # type: ignore[arg-type]


PRICE = Number(
    Outcome.DOUBT,
    "350",
    0.61,
    raw="3.50",
    value=Decimal("3.50"),
    box=Box(1, 2, 3, 4),
    alternatives=(("380", 0.2),),
)


def test_a_number_prints_as_it_is_written() -> None:
    assert str(PRICE) == "3.50"
    assert repr(PRICE) == "Number('3.50', doubt 61.0% at (1, 2, 3, 4))"
    assert str(digit()) == "7"
    assert repr(digit()) == "Digit('7', read 98.0%)"


def test_a_blank_prints_without_a_confidence() -> None:
    assert repr(Number(Outcome.BLANK, "", 0.0)) == "Number('', blank)"


def test_equal_results_are_equal_and_hashable() -> None:
    assert digit() == digit(glyph=None)
    assert digit() != digit(value=1)
    assert len({PRICE, Number.from_json(PRICE.to_json(full=True))}) == 1


def test_notebooks_show_the_glyph_and_escape_text() -> None:
    assert "data:image/png;base64," in digit()._repr_html_()
    assert "<script>" not in Number(Outcome.READ, "", 1.0, raw="<script>")._repr_html_()
    assert "380 20.0%" in PRICE._repr_html_()


def test_results_become_json_types() -> None:
    assert PRICE.to_dict()["value"] == 3.5
    assert digit().to_dict()["value"] == 7


def test_results_become_a_table() -> None:
    pytest.importorskip("pandas")
    table = handigit.to_dataframe([PRICE, digit()])
    assert table["raw"].tolist() == ["3.50", "7"]
    assert table.loc[0, "value"] == Decimal("3.50")
    assert table.loc[0, "right"] == 3


def test_results_are_drawn_on_their_picture() -> None:
    number = handigit.Reader(threads=1).number(TOUCHING)
    drawn = handigit.show(TOUCHING, number)
    assert isinstance(drawn, Image.Image)
    with pytest.raises(IndexError, match="page 3 of a document with 1 pages"):
        handigit.show(TOUCHING, number, page=3)


def test_a_reader_can_be_sent_to_another_process() -> None:
    reader = handigit.Reader(target_error=0.02, threads=1)
    number = reader.number(TOUCHING)  # its models are loaded
    copy = pickle.loads(pickle.dumps(reader))  # noqa: S301 - our own bytes
    assert (copy.target_error, copy.threads, copy.model_path) == (0.02, 1, reader.model_path)
    assert copy.number(TOUCHING) == number


def test_one_picture_in_place_of_many_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"images is a single .*; give a list"):
        handigit.Reader(threads=1).digits("x.png")


def test_no_threads_and_no_alphabet_are_refused() -> None:
    with pytest.raises(ValueError, match="threads = 0; give 1 or more"):
        handigit.Reader(threads=0)
    with pytest.raises(handigit.PatternError, match="the alphabet is empty"):
        handigit.Reader(threads=1).number(TOUCHING, alphabet="")
