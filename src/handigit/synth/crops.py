"""Crops of forms, cheques and notes with one number or a non-number, as a scanner or camera sees them.

Unlimited and seeded: equal seeds give equal bytes. `handigit.images` turns a crop into a strip, as in reading.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from handigit.images.strip import make_strip
from handigit.synth.form_paper import draw_paper, print_cells, print_edges, print_neighbours, print_rules, stamp
from handigit.synth.number_texts import number, random_digits
from handigit.synth.pen_writers import PenWriters
from handigit.synth.real_digits import Hands
from handigit.synth.write_number import LineStyle, Writing, write_number

AnyHands = Hands | PenWriters
Marks = Sequence[UInt8[np.ndarray, "_ _"]]

NO_NUMBER: Final = "?"
"""The text of a crop that is not a number; that of a blank is empty."""
GAP: Final = " "
"""The text of an empty cell between two that are filled in."""
_GAP_RATE: Final = 0.12
"""Share of the numbers in cells that contain an empty one."""
_LOOSE_RATE: Final = 0.4
"""Share of the crops with wide or uneven margins; the others are cut 0 to 0.4 heights from the ink or the frame."""
_TALL_RATE: Final = 0.15
"""Share of the crops on printed paper that are much taller than their writing: small figures in large boxes."""
_EDGE_RATE: Final = 0.15
"""Share of the crops with parts of a frame along their edges."""
_MAX_PATTERN: Final = 0.35
"""Maximum darkness of a printed pattern relative to the ink's: real ones do not hide the writing."""


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """Grey pixels, ink dark on light, and the characters written on it; the only spaces are empty cells."""

    pixels: UInt8[np.ndarray, "h w"]
    text: str


@dataclass(frozen=True, slots=True)
class Mix:
    """Fractions of the drawn crops: blanks (`nothing`), non-numbers, and numbers by real hands.

    `plain`: numbers on bare paper, without rules, patterns and stains; `plain_in_cells`: the same among the numbers
    spaced as in cells.
    """

    nothing: float = 0.02
    no_number: float = 0.07
    real: float = 0.7
    plain: float = 0.5
    plain_in_cells: float = 0.15


def draw_crop(rng: np.random.Generator, *, hands: Sequence[AnyHands] = (), marks: Marks = (), mix: Mix = Mix()) -> Crop:
    """A random crop; real digits come from the given hands, real non-digits (ink bright) from `marks`."""
    chance = rng.random()
    if chance < mix.nothing:
        return Crop(_capture(_draw_blank_field(rng), rng, clean=False), "")
    text = _random_non_number(rng) if chance < mix.nothing + mix.no_number else number(rng)
    hand = _choose_hands(hands, rng).hand(rng) if hands and rng.random() < mix.real else None
    # Where digits lean differently, a slash cannot be distinguished from a 1.
    if hand is not None and hand.mixed and NO_NUMBER not in text:
        text = "".join(filter(str.isdecimal, text)) or text
    height_px = float(np.exp(rng.uniform(np.log(13), np.log(44))))
    style = LineStyle.draw(rng)
    if style.pitch and text.isdecimal() and len(text) > 1 and rng.random() < _GAP_RATE:
        index = int(rng.integers(1, len(text)))
        text = text[:index] + GAP + text[index:]
    writing = write_number(text, rng, height_px=height_px, style=style, hand=hand, marks=marks)
    gap = bool(writing.cells) and GAP in text
    clean = not gap and rng.random() < (mix.plain_in_cells if writing.cells else mix.plain)
    page = _put_on_paper(_vary_pen(writing, rng), rng, clean=clean, cells_needed=gap)
    if NO_NUMBER in text:
        return Crop(_capture(page, rng, clean=clean), _merge_non_numbers(text))
    if not clean and not gap and rng.random() < 0.02:
        return Crop(_capture(_cross_out(page, rng), rng, clean=clean), NO_NUMBER)
    return Crop(_capture(page, rng, clean=clean), text if gap else text.replace(GAP, ""))


def _choose_hands(hands: Sequence[AnyHands], rng: np.random.Generator) -> AnyHands:
    """Random hands, by weight."""
    sums = np.cumsum([each.weight for each in hands])
    return hands[int(np.searchsorted(sums, rng.random() * sums[-1]))]


def contact_sheet(
    crops: Sequence[Crop], *, columns: int = 6, cell_px: tuple[int, int] = (150, 240)
) -> UInt8[np.ndarray, "h w"]:
    """Crops in rows, each above its strip as the model sees it and its text."""
    height, width = cell_px
    cells = [_draw_cell(crop, height, width) for crop in crops]
    cells += [np.full((height, width), 255, np.uint8)] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])


def _draw_cell(crop: Crop, height: int, width: int) -> UInt8[np.ndarray, "h w"]:
    cell = np.full((height, width), 255, np.uint8)
    scale = min((width - 4) / crop.pixels.shape[1], 64 / crop.pixels.shape[0])
    small = cv2.resize(crop.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cell[: small.shape[0], : small.shape[1]] = small
    seen = ((make_strip(crop.pixels).pixels + 1) * 127.5).astype(np.uint8)[:, : width - 4]
    cell[66 : 66 + seen.shape[0], : seen.shape[1]] = seen
    cv2.putText(cell, crop.text, (2, height - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 60, 1, cv2.LINE_AA)
    return cell


def _random_non_number(rng: np.random.Generator) -> str:
    """Words, scribbles, signs, and digits among letters, as text."""
    chance = rng.random()
    if chance < 0.45:
        return NO_NUMBER * int(rng.integers(1, 5))
    if chance < 0.55:
        return str(rng.choice(["-", "--", "x", "xx", "xxx", "/", "-x-", "=", ".", "..."]))
    text = list(random_digits(rng, longest=6))
    for _ in range(int(rng.integers(1, 3))):
        text.insert(int(rng.integers(len(text) + 1)), NO_NUMBER)
    return "".join(text)


def _merge_non_numbers(text: str) -> str:
    """The text without spaces, each run of non-numbers as one mark: the number of words does not matter."""
    merged = text.replace(" ", "")
    while NO_NUMBER * 2 in merged:
        merged = merged.replace(NO_NUMBER * 2, NO_NUMBER)
    return merged


def _vary_pen(writing: Writing, rng: np.random.Generator) -> Writing:
    """The writing with thicker or thinner strokes, or of uneven darkness."""
    coverage = writing.coverage
    chance = rng.random()
    if chance < 0.25:
        coverage = cv2.convertScaleAbs(cv2.GaussianBlur(coverage, (3, 3), 0), alpha=rng.uniform(1.3, 3.0))
    elif chance < 0.4:
        coverage = cv2.subtract(coverage, np.full_like(coverage, int(rng.uniform(40, 110))))
        coverage = cv2.convertScaleAbs(coverage, alpha=255 / max(int(coverage.max()), 1))
    return Writing(coverage.astype(np.uint8, copy=False), writing.height_px, writing.base_px, writing.cells)


def _put_on_paper(
    writing: Writing, rng: np.random.Generator, *, clean: bool, cells_needed: bool = False
) -> UInt8[np.ndarray, "h w"]:
    """The writing on paper, perhaps printed, with a random margin; `cells_needed`: the cells are certainly printed."""
    high = writing.height_px
    tall = not clean and rng.random() < _TALL_RATE
    above, below, left, right = _draw_tall_margins(writing, rng) if tall else _draw_margins(writing, rng, clean=clean)
    sheet = _with_margins(writing.coverage, above, below, left, right)
    if clean:
        return np.asarray(255 - sheet, np.uint8)
    darkness = rng.uniform(0.35, 1.0) if rng.random() < 0.9 else rng.uniform(0.2, 0.4)
    paper = draw_paper(sheet.shape[0], sheet.shape[1], rng, strongest=_MAX_PATTERN * darkness)
    page = np.clip(paper, 0, 255).astype(np.uint8)
    rows = (above + 0.3 * high, above + writing.base_px)
    if tall:
        _print_large_cells(page, writing, rng, left=left, cells_needed=cells_needed)
    else:
        _print_form(page, writing, rng, rows=rows, left=left, cells_needed=cells_needed)
    amount: Float32[np.ndarray, "h w"] = sheet.astype(np.float32) * np.float32(darkness / 255)
    if rng.random() < 0.25:
        amount *= 1 - np.float32(rng.uniform(0.1, 0.6)) * rng.random(amount.shape, np.float32)
    page = np.asarray(page * (1 - amount), np.uint8)
    return stamp(page, rng) if rng.random() < 0.03 else page


def _draw_margins(writing: Writing, rng: np.random.Generator, *, clean: bool) -> tuple[int, int, int, int]:
    """Pixels added above, below, left and right of the writing's sheet; negative where it is cut."""
    high = writing.height_px
    if rng.random() < _LOOSE_RATE:
        above, below = (rng.uniform(-0.3, 0.6, 2) * high).tolist()
        left, right = (rng.gamma(1.5, 0.25, 2) * high).tolist()
        if writing.cells and not clean:  # a box is taller than the digits, and the crop taller than the box
            above, below = (rng.uniform(0, 1.4, 2) * high).tolist()
        return round(above), round(below), round(left), round(right)
    x, y, width, height = cv2.boundingRect((writing.coverage > 64).view(np.uint8))
    if not width:
        return 0, 0, 0, 0
    if writing.cells:  # cut along the frame, or near it
        x, width = round(writing.cells[0]), round(writing.cells[-1] - writing.cells[0])
    rows, columns = writing.coverage.shape
    sides = rng.uniform(-0.02, 0.4, 4) if rng.random() < 0.6 else np.full(4, rng.uniform(0, 0.4))
    above, below, left, right = (sides * high).tolist()
    return round(above) - y, round(below) - (rows - y - height), round(left) - x, round(right) - (columns - x - width)


def _draw_tall_margins(writing: Writing, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """As `_draw_margins`, for a crop that is two to four times as tall as its writing."""
    total, share = rng.uniform(0.8, 3.0) * writing.height_px, rng.uniform(0.1, 0.9)
    left, right = (rng.gamma(1.5, 0.4, 2) * writing.height_px).tolist()
    return round(share * total), round((1 - share) * total), round(left), round(right)


def _print_large_cells(
    page: UInt8[np.ndarray, "h w"], writing: Writing, rng: np.random.Generator, *, left: int, cells_needed: bool
) -> None:
    """Print boxes that fill the crop's height, in place; writing not spaced for cells ignores their borders."""
    height, width = page.shape
    rows = rng.uniform(-0.02, 0.12) * height, rng.uniform(0.88, 1.02) * height
    borders = tuple(border + left for border in writing.cells)
    if not borders:
        pitch = rng.uniform(0.9, 2.4) * writing.height_px
        borders = tuple(np.arange(rng.uniform(-0.5, 0.5) * pitch, width + pitch, pitch).tolist())
    if cells_needed or rng.random() < 0.7:
        print_cells(page, borders, rng, rows=rows)
    if rng.random() < 0.3:
        print_edges(page, rng)


def _with_margins(
    coverage: UInt8[np.ndarray, "h w"], above: int, below: int, left: int, right: int
) -> UInt8[np.ndarray, "h2 w2"]:
    """The sheet enlarged by these margins, or cut where they are negative."""
    height, width = coverage.shape
    cut = coverage[max(-above, 0) : height - max(-below, 0), max(-left, 0) : width - max(-right, 0)]
    return np.pad(cut, ((max(above, 0), max(below, 0)), (max(left, 0), max(right, 0)))) if cut.size else coverage


def _print_form(
    page: UInt8[np.ndarray, "h w"],
    writing: Writing,
    rng: np.random.Generator,
    *,
    rows: tuple[float, float],
    left: int,
    cells_needed: bool,
) -> None:
    """Print rules, cells and neighbouring parts of the form, in place."""
    high = writing.height_px
    if writing.cells and (cells_needed or rng.random() < 0.9):
        room = (
            rng.uniform(0.25, 0.8 if rng.random() < 0.7 else 1.6, 2) * high
        )  # a border as tall as a digit would be a 1
        borders = tuple(border + left for border in writing.cells)
        print_cells(page, borders, rng, rows=(rows[0] - room[0], rows[1] + room[1]))
    elif rng.random() < 0.4:
        print_rules(page, rng, rows=rows, height_px=high)
    if rng.random() < _EDGE_RATE:
        print_edges(page, rng)
    if rng.random() < 0.18:
        print_neighbours(page, rng, height_px=high, left=left)


def _draw_blank_field(rng: np.random.Generator) -> UInt8[np.ndarray, "h w"]:
    """An empty field."""
    high, count = float(rng.uniform(14, 44)), int(rng.integers(1, 8))
    pitch = high * float(rng.uniform(0.8, 2.0))
    cells = tuple(index * pitch for index in range(count + 1)) if rng.random() < 0.5 else ()
    size = round(1.6 * high), round(count * pitch) + 4
    blank = Writing(np.zeros(size, np.uint8), high, 1.3 * high, cells)
    return _put_on_paper(blank, rng, clean=False)


def _cross_out(page: UInt8[np.ndarray, "h w"], rng: np.random.Generator) -> UInt8[np.ndarray, "h w"]:
    """The page with a number crossed out."""
    height, width = page.shape
    shade = int(np.quantile(page, 0.03))
    for _ in range(int(rng.integers(2, 5))):
        ends = rng.uniform(0.15, 0.85, 2) * height
        cv2.line(page, (0, round(ends[0])), (width, round(ends[1])), shade, max(1, height // 20), cv2.LINE_AA)
    return page


def _capture(page: UInt8[np.ndarray, "h w"], rng: np.random.Generator, *, clean: bool) -> UInt8[np.ndarray, "h w"]:
    """The page as captured: rotated, blurred, noisy, compressed."""
    if rng.random() < (0.3 if clean else 0.6):
        height, width = page.shape
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.normal(0, 1.5)), 1)
        page = cv2.warpAffine(page, turn, (width, height), borderMode=cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
    if rng.random() < 0.4:
        page = cv2.GaussianBlur(page, (5, 5), rng.uniform(0.3, 1.3)).astype(np.uint8, copy=False)
    if not clean and rng.random() < 0.4:
        noise = rng.standard_normal(page.shape, np.float32) * np.float32(rng.gamma(1.5, 3))
        page = np.clip(page + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        _, data = cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))])
        page = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
    return page
