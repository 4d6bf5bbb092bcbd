"""Page orientation: rotated and levelled with clear evidence, unchanged without."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from handigit.images.orientation import straighten
from handigit.records import Box

WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs", "while", "thirty", "people", "paid", "total")


def print_page(words: tuple[str, ...] = WORDS, size: tuple[int, int] = (900, 760)) -> np.ndarray:
    """A page of (height, width) with lines of print, and a black square of 50 px at (60, 820)."""
    rng = np.random.default_rng(0)
    sheet = Image.new("L", size[::-1], 250)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(22)
    for line in range(20):
        pen.text((60, 40 + 37 * line), " ".join(rng.choice(words, 7)), font=font, fill=30)
    pen.rectangle((60, 820, 109, 869), fill=0)
    return np.asarray(sheet)


def askew(page: np.ndarray, degrees: float) -> np.ndarray:
    """The page rotated clockwise about its centre, on white."""
    height, width = page.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    return np.asarray(cv2.warpAffine(page, matrix, (width, height), borderValue=250))


@pytest.mark.parametrize("degrees", [-8, -2.5, 1, 4])
def test_skewed_page_is_levelled(degrees):
    found = straighten(askew(print_page(), degrees))
    assert found.skew == pytest.approx(-degrees, abs=0.25)
    assert (found.rotation, found.sure) == (0, True)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_rotated_page_is_rotated_back(quarters):
    page = print_page()
    found = straighten(np.ascontiguousarray(np.rot90(page, quarters)))
    assert (found.rotation, found.skew, found.sure) == (90 * quarters, 0, True)
    assert np.array_equal(found.page, page)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("degrees", [0, 3])
def test_boxes_map_back_to_the_page_as_given(quarters, degrees):
    given = np.ascontiguousarray(np.rot90(askew(print_page(), degrees), quarters))
    found = straighten(given)
    dark = (found.page < 60).view(np.uint8)
    square = cv2.boundingRect(cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((21, 21), np.uint8)))
    box = found.to_original(Box(square[0], square[1], square[0] + square[2], square[1] + square[3]), size=given.shape)
    inside = given[box.top : box.bottom, box.left : box.right]
    assert (inside < 60).sum() > 0.94 * 50 * 50
    assert inside.size < 1.3 * 50 * 50


def test_capitals_do_not_show_which_side_is_up():
    capitals = tuple(word.upper() for word in WORDS if not set(word) & set("qj"))
    for quarters in (0, 2):
        given = np.ascontiguousarray(np.rot90(print_page(capitals), quarters))
        found = straighten(given)
        assert (found.rotation, found.sure) == (0, False)
        assert np.array_equal(found.page, given)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_page_without_ink_is_unchanged(level):
    page = np.full((300, 200), level, np.uint8)
    found = straighten(page)
    assert (found.rotation, found.skew, found.sure) == (0, 0, False)
    assert np.array_equal(found.page, page)


def test_noise_shows_no_orientation():
    page = np.random.default_rng(0).integers(200, 256, (600, 500), np.uint8)
    found = straighten(page)
    assert (found.rotation, found.skew, found.sure) == (0, 0, False)


def test_one_number_shows_no_orientation():
    page = np.full((300, 500), 255, np.uint8)
    for number, left in enumerate((100, 200, 300)):
        cv2.ellipse(page, (left, 150 + 10 * number), (30, 60), 10, 0, 360, 20, 6)
    found = straighten(page)
    assert (found.rotation, found.skew, found.sure) == (0, 0, False)
