"""Drawn numbers: the texts, the writing, the crops; equal seeds, equal bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handigit.cli import run
from handigit.data.strings import load_strings
from handigit.images.line import find_line
from handigit.synth.crops import Mix, contact_sheet, draw_crop, draw_lines
from handigit.synth.form_paper import print_neighbours
from handigit.synth.number_texts import ALPHABET, LONGEST, number
from handigit.synth.real_digits import Hands
from handigit.synth.sets import digits
from handigit.synth.write_number import Manner, write_number


def hands(values: range = range(10)) -> Hands:
    drawn = digits(200, seed=5)
    chosen = np.isin(drawn.labels, list(values))
    return Hands.of(drawn.glyphs[chosen], drawn.labels[chosen])


@given(st.integers(0, 2**32 - 1))
def test_numbers_are_written_in_the_alphabet_and_not_too_long(seed) -> None:
    text = number(np.random.default_rng(seed))
    assert set(text) <= set(ALPHABET + " ")
    assert 1 <= sum(map(str.isdecimal, text)) <= LONGEST + 2


def test_all_kinds_of_number_come() -> None:
    rng = np.random.default_rng(0)
    texts = [number(rng) for _ in range(600)]
    for character in ALPHABET.replace("?", ""):
        assert any(character in text for text in texts), character


@pytest.mark.parametrize("pitch", [0.0, 1.5])
def test_writing_stands_on_its_sheet(pitch) -> None:
    rng = np.random.default_rng(1)
    manner = Manner(gap=0.2, gap_sd=0.0, drift_sd=0.0, size_sd=0.0, lean=0.0, wide=1.0, pitch=pitch)
    writing = write_number("4071", rng, height_px=30, manner=manner)
    assert writing.cover.max() == 255
    assert len(writing.cells) == (5 if pitch else 0)
    rows = np.flatnonzero(writing.cover.max(axis=1) > 128)
    assert abs(rows[-1] - writing.base_px) < 6


def test_real_hands_write_the_digits_they_have_and_the_pen_the_rest() -> None:
    some = hands(range(5))
    rng = np.random.default_rng(2)
    hand = some.hand(rng)
    assert hand.digit(3, rng) is not None
    assert hand.digit(9, rng) is None
    manner = Manner.draw(rng)
    assert write_number("39", rng, height_px=25, manner=manner, hand=hand).cover.any()


def test_a_hand_prefers_digits_that_look_alike() -> None:
    some = hands()
    rng = np.random.default_rng(3)
    hand = some.hand(rng)
    chosen = [hand.digit(1, rng) for _ in range(40)]
    assert len({one.tobytes() for one in chosen if one is not None}) < len(some.digits[1])


def test_a_hand_writes_the_same_digit_a_little_otherwise_each_time() -> None:
    drawn = digits(1, seed=5)
    (value,) = drawn.labels.tolist()
    hand = Hands.of(drawn.glyphs, drawn.labels).hand(np.random.default_rng(0))
    manner = Manner(gap=0.2, gap_sd=0.0, drift_sd=0.0, size_sd=0.0, lean=0.0, wide=1.0)
    rng = np.random.default_rng(1)
    covers = [write_number(str(value), rng, height_px=28, manner=manner, hand=hand).cover for _ in range(12)]
    assert len({cover.tobytes() for cover in covers}) > 8
    assert all(cover.max() > 128 for cover in covers)
    widths = [np.ptp(np.flatnonzero(cover.any(axis=0))) for cover in covers]
    assert max(widths) < 2.5 * min(widths)


def test_a_dark_cell_ends_where_the_writing_begins() -> None:
    for seed in range(60):
        page = np.full((40, 160), 255, np.uint8)
        print_neighbours(page, np.random.default_rng(seed), height_px=30, left=10)
        assert page[:, 11:].max(axis=0).min() == 255


def test_equal_seeds_draw_equal_crops() -> None:
    one, other = (draw_crop(np.random.default_rng(7), hands=[hands()]) for _ in range(2))
    assert one.text == other.text
    assert np.array_equal(one.pixels, other.pixels)


def test_lines_come_with_their_texts() -> None:
    drawn = list(draw_lines(40, seed=11, hands=[hands()]))
    assert len(drawn) == 40
    assert all(set(text) <= set(ALPHABET) for _, text in drawn)
    assert any(text.isdecimal() for _, text in drawn)


@pytest.mark.parametrize(
    ("mix", "holds"), [(Mix(nothing=1.0), {""}), (Mix(nothing=0.0, no_number=0.0, plain=1.0), None)]
)
def test_the_mix_says_what_is_drawn(mix, holds) -> None:
    rng = np.random.default_rng(13)
    texts = {draw_crop(rng, mix=mix).text for _ in range(15)}
    assert texts == holds if holds else all("?" not in text and any(map(str.isdecimal, text)) for text in texts)


def test_plain_numbers_are_found() -> None:
    rng = np.random.default_rng(17)
    crops = [draw_crop(rng, mix=Mix(nothing=0.0, no_number=0.0, plain=1.0)) for _ in range(30)]
    assert all(find_line(crop.pixels) is not None for crop in crops)


def test_a_contact_sheet_shows_them_all() -> None:
    rng = np.random.default_rng(19)
    sheet = contact_sheet([draw_crop(rng) for _ in range(5)], columns=3, cell_px=(150, 200))
    assert sheet.shape == (300, 600)
    assert sheet.min() < 100


def test_the_command_line_draws_crops_that_can_be_learnt_from(tmp_path) -> None:
    arguments = ["data", "synth-numbers", str(tmp_path / "n"), "--count", "6", "--sheet", str(tmp_path / "s.png")]
    assert run(arguments) == 0
    strings = list(load_strings(tmp_path / "n" / "labels.csv"))
    assert len(strings) == 6
    assert (tmp_path / "s.png").stat().st_size > 1000
