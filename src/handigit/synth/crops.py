"""Crops of forms, cheques and notes that hold one number, or something that is none, as a scanner or camera sees them.

Unlimited and seeded: equal seeds give equal bytes. A crop becomes a line by `handigit.images`, as when reading. It
knows nothing of models.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from handigit.images.line import Line, find_line
from handigit.synth.form_paper import ground, print_cells, print_neighbours, print_rules, stamp
from handigit.synth.number_texts import digits_only, number
from handigit.synth.real_digits import Hands
from handigit.synth.write_number import Manner, Writing, write_number

NO_NUMBER: Final = "?"
"""The text of a line that is no number; that of a blank is empty."""
_FAINTER: Final = 0.35
"""A printed pattern takes at most so much of the light that the ink takes: nobody prints one that hides the writing."""


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """Grey pixels, ink dark on light, and the characters written there, gaps left out."""

    pixels: UInt8[np.ndarray, "h w"]
    text: str


@dataclass(frozen=True, slots=True)
class Mix:
    """What is drawn: the shares of lines that are no number or blank, and of those by real hands.

    `plain`: the share of numbers on bare paper, without rules, patterns and stains; `plain_in_cells`: that of the
    numbers written as into cells.
    """

    nothing: float = 0.02
    no_number: float = 0.07
    real: float = 0.7
    plain: float = 0.5
    plain_in_cells: float = 0.15


def draw_crop(rng: np.random.Generator, *, hands: Sequence[Hands] = (), mix: Mix = Mix()) -> Crop:
    """One crop; real digits come from any of these hands."""
    chance = rng.random()
    if chance < mix.nothing:
        return Crop(_seen(_empty(rng), rng, clean=False), "")
    text = _no_number(rng) if chance < mix.nothing + mix.no_number else number(rng)
    hand = _any_of(hands, rng).hand(rng) if hands and rng.random() < mix.real else None
    if (
        hand is not None and hand.mixed and NO_NUMBER not in text
    ):  # where all lean differently nobody could tell a slash from a 1
        text = "".join(filter(str.isdecimal, text)) or text
    height_px = float(np.exp(rng.uniform(np.log(13), np.log(44))))
    manner = Manner.draw(rng)
    writing = write_number(text, rng, height_px=height_px, manner=manner, hand=hand)
    clean = rng.random() < (mix.plain_in_cells if writing.cells else mix.plain)
    page = _on_paper(_with_pen(writing, rng), rng, clean=clean)
    if NO_NUMBER in text:
        return Crop(_seen(page, rng, clean=clean), _merged(text))
    if not clean and rng.random() < 0.02:
        page = _crossed_out(page, rng)
        text = NO_NUMBER
    return Crop(_seen(page, rng, clean=clean), text.replace(" ", ""))


def _any_of(hands: Sequence[Hands], rng: np.random.Generator) -> Hands:
    """Some hands, each set as often as its weight says."""
    sums = np.cumsum([one.weight for one in hands])
    return hands[int(np.searchsorted(sums, rng.random() * sums[-1]))]


def draw_lines(n: int, *, seed: int, hands: Sequence[Hands] = (), mix: Mix = Mix()) -> Iterator[tuple[Line, str]]:
    """So many lines with their texts; blanks in which no line is found are drawn, but not given."""
    rng = np.random.default_rng(seed)
    given = 0
    while given < n:
        crop = draw_crop(rng, hands=hands, mix=mix)
        line = find_line(crop.pixels)
        if line is not None:
            given += 1
            yield line, crop.text


def contact_sheet(
    crops: Sequence[Crop], *, columns: int = 6, cell_px: tuple[int, int] = (150, 240)
) -> UInt8[np.ndarray, "h w"]:
    """Crops in rows, each above its line as a model sees it and its text."""
    height, width = cell_px
    cells = [_cell(crop, height, width) for crop in crops]
    cells += [np.full((height, width), 255, np.uint8)] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])


def _cell(crop: Crop, height: int, width: int) -> UInt8[np.ndarray, "h w"]:
    cell = np.full((height, width), 255, np.uint8)
    scale = min((width - 4) / crop.pixels.shape[1], 64 / crop.pixels.shape[0])
    small = cv2.resize(crop.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cell[: small.shape[0], : small.shape[1]] = small
    if (line := find_line(crop.pixels)) is not None:
        seen = cv2.resize(255 - (255 * line.pixels).astype(np.uint8), None, fx=2, fy=2)[:, : width - 4]
        cell[66 : 66 + seen.shape[0], : seen.shape[1]] = seen
    cv2.putText(cell, crop.text, (2, height - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 60, 1, cv2.LINE_AA)
    return cell


def _no_number(rng: np.random.Generator) -> str:
    """Words, scribbles, single signs, and digits among letters."""
    chance = rng.random()
    if chance < 0.45:
        return NO_NUMBER * int(rng.integers(1, 5))
    if chance < 0.55:
        return str(rng.choice(["-", "--", "x", "xx", "xxx", "/", "-x-", "=", ".", "..."]))
    text = list(digits_only(rng, longest=6))
    for _ in range(int(rng.integers(1, 3))):
        text.insert(int(rng.integers(len(text) + 1)), NO_NUMBER)
    return "".join(text)


def _merged(text: str) -> str:
    """The text with one mark for each run of what is no number: how many words there are is nobody's question."""
    merged = text.replace(" ", "")
    while NO_NUMBER * 2 in merged:
        merged = merged.replace(NO_NUMBER * 2, NO_NUMBER)
    return merged


def _with_pen(writing: Writing, rng: np.random.Generator) -> Writing:
    """The same with strokes made thicker or thinner, and their darkness uneven."""
    cover = writing.cover
    chance = rng.random()
    if chance < 0.25:
        cover = cv2.convertScaleAbs(cv2.GaussianBlur(cover, (3, 3), 0), alpha=rng.uniform(1.3, 3.0))
    elif chance < 0.4:
        cover = cv2.subtract(cover, np.full_like(cover, int(rng.uniform(40, 110))))
        cover = cv2.convertScaleAbs(cover, alpha=255 / max(int(cover.max()), 1))
    return Writing(cover.astype(np.uint8, copy=False), writing.height_px, writing.base_px, writing.cells)


def _on_paper(writing: Writing, rng: np.random.Generator, *, clean: bool) -> UInt8[np.ndarray, "h w"]:
    """The writing on paper with what is printed there, with a margin around it or none."""
    high = writing.height_px
    above, below = (rng.uniform(-0.3, 0.6, 2) * high).round().astype(int).tolist()
    left, right = (rng.gamma(1.5, 0.25, 2) * high).round().astype(int).tolist()
    if writing.cells and not clean:  # a box has room above and below, and the crop some beyond it
        above, below = (rng.uniform(0, 1.4, 2) * high).round().astype(int).tolist()
    height, width = writing.cover.shape
    sheet = np.zeros((height + above + below, width + left + right), np.uint8)
    source = writing.cover[max(-above, 0) : height - max(-below, 0)]
    sheet[max(above, 0) : max(above, 0) + len(source), left : left + width] = source
    if clean:
        return np.asarray(255 - sheet, np.uint8)
    darkness = rng.uniform(0.35, 1.0) if rng.random() < 0.9 else rng.uniform(0.2, 0.4)
    paper = ground(sheet.shape[0], sheet.shape[1], rng, strongest=_FAINTER * darkness)
    page = np.clip(paper, 0, 255).astype(np.uint8)
    rows = (above + 0.3 * high, above + writing.base_px)
    _print(page, writing, rng, rows=rows, left=left)
    amount: Float32[np.ndarray, "h w"] = sheet.astype(np.float32) * np.float32(darkness / 255)
    if rng.random() < 0.25:
        amount *= 1 - np.float32(rng.uniform(0.1, 0.6)) * rng.random(amount.shape, np.float32)
    page = np.asarray(page * (1 - amount), np.uint8)
    return stamp(page, rng) if rng.random() < 0.03 else page


def _print(
    page: UInt8[np.ndarray, "h w"], writing: Writing, rng: np.random.Generator, *, rows: tuple[float, float], left: int
) -> None:
    """Rules, cells and neighbours, in place."""
    high = writing.height_px
    if writing.cells and rng.random() < 0.9:
        room = rng.uniform(0.25, 0.8 if rng.random() < 0.7 else 1.6, 2) * high  # a border as high as a digit is a 1
        borders = tuple(border + left for border in writing.cells)
        print_cells(page, borders, rng, rows=(rows[0] - room[0], rows[1] + room[1]))
    elif rng.random() < 0.4:
        print_rules(page, rng, rows=rows, height_px=high)
    if rng.random() < 0.18:
        print_neighbours(page, rng, height_px=high, left=left)


def _empty(rng: np.random.Generator) -> UInt8[np.ndarray, "h w"]:
    """A field that nobody wrote into."""
    high, count = float(rng.uniform(14, 44)), int(rng.integers(1, 8))
    pitch = high * float(rng.uniform(0.8, 2.0))
    cells = tuple(index * pitch for index in range(count + 1)) if rng.random() < 0.5 else ()
    size = round(1.6 * high), round(count * pitch) + 4
    blank = Writing(np.zeros(size, np.uint8), high, 1.3 * high, cells)
    return _on_paper(blank, rng, clean=False)


def _crossed_out(page: UInt8[np.ndarray, "h w"], rng: np.random.Generator) -> UInt8[np.ndarray, "h w"]:
    """A number that somebody took back."""
    height, width = page.shape
    shade = int(np.quantile(page, 0.03))
    for _ in range(int(rng.integers(2, 5))):
        ends = rng.uniform(0.15, 0.85, 2) * height
        cv2.line(page, (0, round(ends[0])), (width, round(ends[1])), shade, max(1, height // 20), cv2.LINE_AA)
    return page


def _seen(page: UInt8[np.ndarray, "h w"], rng: np.random.Generator, *, clean: bool) -> UInt8[np.ndarray, "h w"]:
    """The page through a lens: tilted, coarse, blurred, noisy, compressed."""
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
