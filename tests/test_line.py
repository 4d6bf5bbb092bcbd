"""Crops to lines: writing found in its surroundings, positions mapped back."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from handigit.images.crop_rules import remove_crop_rules, trim_dark_cells
from handigit.images.line import INK_PX, LINE_PX, LONGEST_PX, find_line
from handigit.images.straight_lines import find_segments
from handigit.records import Box


def crop(*, height: int = 60, width: int = 160, paper: int = 230) -> np.ndarray:
    return np.full((height, width), paper, np.uint8)


def write(
    page: np.ndarray, text: str = "470", *, left: int = 30, foot: int = 45, size: float = 1.0, ink: int = 40
) -> np.ndarray:
    """Print digits as OpenCV draws them: 22 px high at size 1."""
    cv2.putText(page, text, (left, foot), cv2.FONT_HERSHEY_SIMPLEX, size, ink, 2, cv2.LINE_AA)
    return page


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two lines over their common width."""
    width = min(one.shape[1], other.shape[1])
    return float(np.corrcoef(one[:, :width].ravel(), other[:, :width].ravel())[0, 1])


def test_line_is_32_px_high_and_its_ink_20() -> None:
    line = find_line(write(crop()))
    assert line is not None
    assert line.pixels.shape[0] == LINE_PX
    rows = np.flatnonzero((line.pixels > 0.5).any(axis=1))
    assert abs(len(rows) - INK_PX) <= 3
    assert 0.95 < line.pixels.max() <= 1


@pytest.mark.parametrize("shade", [255, 128])
def test_bare_paper_has_no_line(shade) -> None:
    assert find_line(crop(paper=shade)) is None


def test_noise_gives_a_faint_line_or_none() -> None:
    noise = np.random.default_rng(0).normal(200, 2, (60, 160)).astype(np.uint8)
    assert find_line(noise) is None


@pytest.mark.parametrize("scale", [0.75, 2.0, 5.0])
def test_line_is_independent_of_size(scale) -> None:
    small = find_line(write(crop()))
    large = find_line(cv2.resize(write(crop()), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    assert small is not None
    assert large is not None
    assert likeness(small.pixels, large.pixels) > 0.75


def test_rule_under_the_number_does_not_shift_it() -> None:
    plain, ruled = find_line(write(crop())), write(crop())
    cv2.line(ruled, (0, 54), (159, 54), 60, 1)
    line = find_line(ruled)
    assert plain is not None
    assert line is not None
    assert likeness(plain.pixels, line.pixels) > 0.9


def test_cells_around_digits_are_removed() -> None:
    page = crop()
    for place, digit in enumerate("305"):
        write(page, digit, left=22 + 40 * place, foot=42)
        cv2.rectangle(page, (12 + 40 * place, 6), (52 + 40 * place, 54), 90, 1)
    line = find_line(page)
    assert line is not None
    rows = np.flatnonzero((line.pixels > 0.6).any(axis=1))
    assert len(rows) <= INK_PX + 5  # with the boxes the digits would be half as high


def in_cells() -> np.ndarray:
    """Three empty cells of a table."""
    page = crop(height=74, width=124)
    for border in (4, 44, 84, 120):
        cv2.line(page, (border, 4), (border, 73), 90, 2)
    for rule in (4, 70):
        cv2.line(page, (4, rule), (120, rule), 90, 2)
    return page


def test_1_beside_the_border_of_its_cell_stays() -> None:
    page = write(in_cells(), "28", left=16, foot=46, size=0.6)
    with_one = page.copy()
    cv2.line(with_one, (9, 35), (9, 45), 60, 2)
    line, alone = find_line(with_one), find_line(page)
    assert line is not None
    assert alone is not None
    assert line.width > alone.width + 4


@pytest.mark.parametrize("top", [0, 35, 70])
def test_rule_is_not_thicker_at_the_edge_of_the_crop(top) -> None:
    mask = np.zeros((74, 124), np.uint8)
    mask[top : top + 4, 3:120] = 1
    across, _ = find_segments(mask, max_thickness_px=5)
    assert [box.width > 100 for box in across.boxes] == [True]


def test_slanted_digits_are_deslanted() -> None:
    upright = write(crop(width=220), "1171", left=60)
    lean = cv2.warpAffine(upright, np.array([[1, -0.5, 20], [0, 1, 0]]), (220, 60), borderValue=230)
    line, straight = find_line(lean), find_line(upright)
    assert line is not None
    assert straight is not None
    assert abs(line.width - straight.width) < 0.2 * straight.width


@pytest.mark.parametrize("degrees", [-6, 6])
def test_rising_line_is_levelled(degrees) -> None:
    page = write(crop(height=100, width=260), "7250931", left=40, foot=60)
    turn = cv2.getRotationMatrix2D((130, 50), degrees, 1)
    line = find_line(cv2.warpAffine(page, turn, (260, 100), borderValue=230))
    assert line is not None
    rows = (line.pixels > 0.5).sum(axis=1)
    assert rows[4:28].sum() > 0.9 * rows.sum()


def test_part_of_a_line_maps_back_to_the_crop() -> None:
    page = write(crop(), "8", left=70, foot=45)
    line = find_line(page)
    assert line is not None
    columns = np.flatnonzero((line.pixels > 0.5).any(axis=0))
    box = line.box_of((float(columns[0]), 6.0, float(columns[-1] + 1), 26.0), size=(60, 160))
    ink = cv2.boundingRect((page < 128).astype(np.uint8))
    for found, true in zip(box.as_list(), Box(ink[0], ink[1], ink[0] + ink[2], ink[1] + ink[3]).as_list(), strict=True):
        assert abs(found - true) <= 4


def test_dark_cell_beside_the_number_is_trimmed() -> None:
    page = write(crop())
    page[:, :20] = 60
    first, last = trim_dark_cells(page)
    assert 18 <= first <= 24
    assert last == 160
    line, plain = find_line(page), find_line(write(crop()))
    assert line is not None
    assert plain is not None
    assert likeness(line.pixels, plain.pixels) > 0.85


@pytest.mark.parametrize("side", [1, -1])
def test_shadow_over_digits_is_not_a_cell(side) -> None:
    page = write(crop(width=240), "21000", left=14)
    shade = np.clip(np.linspace(0.45, 1.6, 240), 0, 1)[::side]  # dark at one side, fading
    assert trim_dark_cells((page * shade).astype(np.uint8)) == (0, 240)


def test_ones_are_not_taken_for_rules() -> None:
    mask = np.zeros((40, 60), np.uint8)
    for x in (10, 30, 50):
        mask[2:38, x : x + 3] = 1
    assert remove_crop_rules(mask).mask is mask


def test_long_crop_becomes_a_line_of_bounded_width() -> None:
    page = np.full((20, 4000), 255, np.uint8)
    for left in range(10, 3900, 60):
        write(page, "7", left=left, foot=17, size=0.5)
    line = find_line(page)
    assert line is not None
    assert line.width <= LONGEST_PX


@settings(max_examples=60)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 60))))
def test_any_picture_gives_a_line_or_none(pixels) -> None:
    line = find_line(pixels)
    if line is not None:
        assert line.pixels.shape[0] == LINE_PX
        assert np.isfinite(line.pixels).all()
        assert 0 <= line.pixels.min() <= line.pixels.max() <= 1
