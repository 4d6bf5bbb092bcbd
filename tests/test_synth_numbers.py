"""Synthetic numbers: texts, writing and crops; equal seeds give equal bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handigit.cli import run
from handigit.data.strings import load_strings
from handigit.synth.crops import Mix, contact_sheet, draw_crop
from handigit.synth.form_paper import print_neighbours
from handigit.synth.number_texts import ALPHABET, MAX_DIGITS, number
from handigit.synth.real_digits import Hands
from handigit.synth.sets import digits
from handigit.synth.write_number import LineStyle, write_number


def hands(values: range = range(10)) -> Hands:
    drawn = digits(200, seed=5)
    chosen = np.isin(drawn.labels, list(values))
    return Hands.of(drawn.glyphs[chosen], drawn.labels[chosen])


@given(st.integers(0, 2**32 - 1))
def test_numbers_use_the_alphabet_and_are_not_too_long(seed) -> None:
    text = number(np.random.default_rng(seed))
    assert set(text) <= set(ALPHABET)
    assert 1 <= sum(map(str.isdecimal, text)) <= MAX_DIGITS + 2


def test_every_character_of_the_alphabet_occurs() -> None:
    rng = np.random.default_rng(0)
    texts = [number(rng) for _ in range(600)]
    for character in set(ALPHABET) - set("? "):
        assert any(character in text for text in texts), character


@pytest.mark.parametrize("pitch", [0.0, 1.5])
def test_writing_is_within_its_sheet(pitch) -> None:
    rng = np.random.default_rng(1)
    style = LineStyle(gap=0.2, gap_sd=0.0, drift_sd=0.0, size_sd=0.0, lean=0.0, wide=1.0, pitch=pitch)
    writing = write_number("4071", rng, height_px=30, style=style)
    assert writing.coverage.max() == 255
    assert len(writing.cells) == (5 if pitch else 0)
    rows = np.flatnonzero(writing.coverage.max(axis=1) > 128)
    assert abs(rows[-1] - writing.base_px) < 6


def test_the_pen_writes_digits_that_a_real_hand_lacks() -> None:
    some = hands(range(5))
    rng = np.random.default_rng(2)
    hand = some.hand(rng)
    assert hand.digit(3, rng) is not None
    assert hand.digit(9, rng) is None
    style = LineStyle.draw(rng)
    assert write_number("39", rng, height_px=25, style=style, hand=hand).coverage.any()


def test_a_hand_prefers_digits_that_look_alike() -> None:
    some = hands()
    rng = np.random.default_rng(3)
    hand = some.hand(rng)
    chosen = [hand.digit(1, rng) for _ in range(40)]
    assert len({one.tobytes() for one in chosen if one is not None}) < len(some.digits[1])


def test_a_hand_varies_a_digit_each_time() -> None:
    drawn = digits(1, seed=5)
    (value,) = drawn.labels.tolist()
    hand = Hands.of(drawn.glyphs, drawn.labels).hand(np.random.default_rng(0))
    style = LineStyle(gap=0.2, gap_sd=0.0, drift_sd=0.0, size_sd=0.0, lean=0.0, wide=1.0)
    rng = np.random.default_rng(1)
    covers = [write_number(str(value), rng, height_px=28, style=style, hand=hand).coverage for _ in range(12)]
    assert len({coverage.tobytes() for coverage in covers}) > 8
    assert all(coverage.max() > 128 for coverage in covers)
    widths = [np.ptp(np.flatnonzero(coverage.any(axis=0))) for coverage in covers]
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


@pytest.mark.parametrize(
    ("mix", "holds"), [(Mix(nothing=1.0), {""}), (Mix(nothing=0.0, no_number=0.0, plain=1.0, plain_in_cells=1.0), None)]
)
def test_the_mix_determines_what_is_drawn(mix, holds) -> None:
    rng = np.random.default_rng(13)
    texts = {draw_crop(rng, mix=mix).text for _ in range(15)}
    assert texts == holds if holds else all("?" not in text and any(map(str.isdecimal, text)) for text in texts)


def test_a_contact_sheet_shows_all_crops() -> None:
    rng = np.random.default_rng(19)
    sheet = contact_sheet([draw_crop(rng) for _ in range(5)], columns=3, cell_px=(150, 200))
    assert sheet.shape == (300, 600)
    assert sheet.min() < 100


def test_the_command_line_draws_crops_for_training(tmp_path) -> None:
    arguments = ["data", "synth-numbers", str(tmp_path / "n"), "--count", "6", "--sheet", str(tmp_path / "s.png")]
    assert run(arguments) == 0
    strings = list(load_strings(tmp_path / "n" / "labels.csv"))
    assert len(strings) == 6
    assert (tmp_path / "s.png").stat().st_size > 1000
