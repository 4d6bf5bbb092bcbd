"""A number in one person's handwriting: digits side by side, touching, in cells, drifting off the line.

Digits are by the synthetic pen or a real hand; other signs always from the pen. The result is the
coverage of ink on a sheet cropped to it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from handigit.synth.ink import FINE, Ink, paint
from handigit.synth.nondigits import CLEAR_MARKS, LATIN, scribble, word
from handigit.synth.pen_writers import PenHand
from handigit.synth.real_digits import Hand, crop_to_ink
from handigit.synth.shapes import IN_NUMBERS, SIGNS
from handigit.synth.strokes import parse_figure
from handigit.synth.writer import Pen, Writer, write, write_stroke

CURRENCIES: Final = tuple(sign for sign in "$€£¥" if sign in SIGNS)
_FOREIGN_SIGNS: Final = tuple(sign for sign in CLEAR_MARKS if sign not in "√✓")
"""Signs that are not part of a number; a tick is a 5 in some hands."""
_SMALL_ENDING_RATE: Final = 0.4
"""Share of the numbers ending in zeros whose zeros are smaller."""
_JOINED_ZEROS_RATE: Final = 0.3
"""Share of the numbers ending in zeros whose zeros are joined."""
_JOINED_ZEROS_GAP: Final = (-0.06, 0.05)
"""Mean and standard deviation of the gap between joined zeros, in heights."""
_REAL_MARK_RATE: Final = 0.5
"""Share of the non-digits that are real ones, if there are any."""
_ROTATION_SD: Final = 0.09
"""Variation of one hand's digit, as standard deviations: rotation in radians,"""
_SHEAR_SD: Final = 0.08
"""shear of the top to the right in heights,"""
_WIDTH_SD: Final = 0.1
"""logarithm of the width."""
_MARGIN: Final = 0.3
"""Empty height above and below the digits, in heights, for parts that protrude."""


@dataclass(frozen=True, slots=True, eq=False)
class Writing:
    """Ink on a sheet: `coverage` 0..255, digits about `height_px` high with their feet on row `base_px`.

    `cells`: columns of the cell borders; empty for free writing.
    """

    coverage: UInt8[np.ndarray, "h w"]
    height_px: float
    base_px: float
    cells: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class LineStyle:
    """Spacing and variation within a line, all lengths in heights of a digit.

    `gap` and `gap_sd`: between the boxes of two digits, negative where they overlap; `drift_sd`: of the feet off the
    line; `size_sd`: of the heights; `lean`: shear of the whole to the right; `wide`: stretch of all widths; `pitch`:
    width of a cell, 0 without cells.
    """

    gap: float
    gap_sd: float
    drift_sd: float
    size_sd: float
    lean: float
    wide: float
    pitch: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "LineStyle":
        """A random style: 35 % write tightly, 22 % into cells."""
        kind = rng.random()
        gap = (
            rng.normal(-0.02, 0.07) if kind < 0.35 else rng.uniform(0.05, 0.3) if kind < 0.8 else rng.uniform(0.3, 0.9)
        )
        in_cells = rng.random() < 0.22
        return cls(
            gap=float(gap),
            gap_sd=float(rng.uniform(0.02, 0.12)),
            drift_sd=float(rng.gamma(1.5, 0.025)),
            size_sd=float(rng.gamma(2, 0.05)),
            lean=0.0 if in_cells else float(np.clip(rng.normal(0.12, 0.28), -0.5, 1.0)),
            wide=float(np.exp(rng.normal(0.0, 0.14))),
            pitch=float(rng.uniform(0.95, 2.2)) if in_cells else 0.0,
        )


def write_number(
    text: str,
    rng: np.random.Generator,
    *,
    height_px: float,
    style: LineStyle,
    hand: Hand | PenHand | None = None,
    author: tuple[Writer, Pen] | None = None,
    marks: Sequence[UInt8[np.ndarray, "_ _"]] = (),
) -> Writing:
    """The text (characters of `number_texts.ALPHABET` and spaces) by the given writer and pen, or random ones.

    `marks`: real non-digits, ink bright, cropped to it; half of the `?` are drawn from them.
    """
    writer, pen = author or (Writer.draw(rng), Pen.draw(rng))
    join_zeros = rng.random() < _JOINED_ZEROS_RATE
    sizes = _draw_sizes(text, rng, style, join_zeros=join_zeros) * height_px
    parts = [
        _align_foot(_draw_character(character, rng, float(size), (writer, pen, hand, marks)), height_px - float(size))
        for character, size in zip(text, sizes, strict=True)
    ]
    margin = round(_MARGIN * height_px)
    corners, width, cells = _lay_out(
        parts, rng, height_px, style, joined_zeros=_final_zeros(text) if join_zeros else range(0)
    )
    sheet = np.zeros((round(height_px) + 2 * margin, width), np.uint8)
    for part, (x, y) in zip(parts, corners, strict=True):
        if part is not None:
            _paste(sheet, part.coverage, round(x), round(y + part.top) + margin)
    base = height_px + margin
    if style.lean or style.wide != 1:
        sheet = _shear(sheet, style, base)
    return Writing(sheet, height_px, base, cells)


def _draw_sizes(
    text: str, rng: np.random.Generator, style: LineStyle, *, join_zeros: bool
) -> Float64[np.ndarray, " n"]:
    """The height of each character, in heights; final zeros and cents are often smaller."""
    sizes = np.clip(rng.normal(1, style.size_sd, len(text)), 0.6, 1.5)
    ending = len(text) - len(text.rstrip("0 .,-="))
    if ending > 1 and (join_zeros or rng.random() < _SMALL_ENDING_RATE):
        sizes[-ending:] *= rng.uniform(0.5, 0.9)
    return np.asarray(sizes)


def _final_zeros(text: str) -> range:
    """Indices of the number's final zeros, before its closing marks."""
    number = text.rstrip(".,-=")
    return range(len(number.rstrip("0")), len(number))


def _align_foot(part: "_Part | None", lower_px: float) -> "_Part | None":
    """A character of another height, its foot on the line."""
    return None if part is None else _Part(part.coverage, part.top + lower_px)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One character's coverage, and the distance of its top below the top of the digits, in pixels."""

    coverage: UInt8[np.ndarray, "h w"]
    top: float


_Author = tuple[Writer, Pen, Hand | PenHand | None, Sequence[UInt8[np.ndarray, "_ _"]]]
"""The synthetic writer and pen, a real hand, and real non-digits."""


def _draw_character(character: str, rng: np.random.Generator, height_px: float, author: _Author) -> _Part | None:
    """One character; None for a space."""
    writer, pen, hand, marks = author
    if character == " ":
        return None
    if hand is not None and character.isdecimal() and (glyph := hand.digit(int(character), rng)) is not None:
        return _scale_glyph(_vary(glyph, rng), height_px)
    if marks and character == "?" and rng.random() < _REAL_MARK_RATE:
        return _scale_glyph(_vary(marks[int(rng.integers(len(marks)))], rng), height_px)
    ink = _write_character(character, writer, pen, rng)
    (left, top), (right, bottom) = ink.extent().tolist()
    if character.isdecimal() or character == "?":
        ink = ink.transformed(1 / max(bottom - top, 0.6 * (right - left), 0.3), (0.0, 0.0))
        (left, top), (right, bottom) = ink.extent().tolist()
        ink, bottom, top = ink.transformed(1.0, (0.0, -top)), bottom - top, 0.0
    return _draw_ink(ink, height_px)


def _vary(glyph: UInt8[np.ndarray, "_ _"], rng: np.random.Generator) -> UInt8[np.ndarray, "_ _"]:
    """A real digit as the same person might write it again: rotated, sheared, narrower or wider."""
    turn, lean, wide = rng.normal(0, [_ROTATION_SD, _SHEAR_SD, _WIDTH_SD])
    matrix = np.array([[math.exp(wide), -lean, 0.0], [0.0, 1.0, 0.0]])
    matrix[:, :2] = [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]] @ matrix[:, :2]
    height, width = glyph.shape
    margin = round(1.5 * max(height, width))
    matrix[:, 2] = margin / 2 - matrix[:, :2] @ [width / 2, height / 2]
    again = cv2.warpAffine(glyph, matrix, (margin, margin)).astype(np.uint8, copy=False)
    return crop_to_ink(again)


def _scale_glyph(glyph: UInt8[np.ndarray, "_ _"], height_px: float) -> _Part:
    """A real digit at that height; less for a flat one."""
    height, width = glyph.shape
    scale = height_px / max(height, 0.75 * width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    coverage = cv2.resize(glyph, size, interpolation=interpolation).astype(np.uint8, copy=False)
    return _Part(coverage, height_px - size[1])


def _draw_ink(ink: Ink, height_px: float) -> _Part:
    """The ink at that height."""
    (left, top), (right, bottom) = (ink.extent() * height_px).tolist()
    width, height = int(right - left) + 3, int(bottom - top) + 3
    canvas = np.zeros((height * FINE, width * FINE), np.uint8)
    paint(canvas, ink, scale=height_px * FINE, shift=((1 - left) * FINE, (1 - top) * FINE))
    coverage = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return _Part(coverage, top - 1)


def _write_character(character: str, writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """One character in heights, digits between 0 and 1."""
    if character.isdecimal():
        allograph = writer.allograph(int(character), rng, among=IN_NUMBERS)
        return write(parse_figure(allograph.strokes), writer, pen, rng)
    if character == "$":
        sign = CURRENCIES[int(rng.integers(len(CURRENCIES)))]
        shapes = SIGNS[sign]
        return write(parse_figure(shapes[rng.integers(len(shapes))]), writer, pen, rng)
    if character == "?":
        return _write_non_number(writer, pen, rng)
    strokes = _SIGNS[character](rng)
    ink = write_stroke(strokes[0], writer, pen, rng)
    for points in strokes[1:]:
        ink += write_stroke(points, writer, pen, rng)
    return ink


def _write_non_number(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A word, scribble, letter or sign that is not part of a number."""
    chance = rng.random()
    if chance < 0.35:
        return word(writer, pen, rng)
    if chance < 0.5:
        return scribble(writer, pen, rng)
    signs = LATIN if chance < 0.9 else _FOREIGN_SIGNS
    shapes = SIGNS[signs[int(rng.integers(len(signs)))]]
    return write(parse_figure(shapes[rng.integers(len(shapes))]), writer, pen, rng)


def _dot(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    y = rng.uniform(0.86, 1.04)
    return (np.array([[0.0, y], [0.02, y + 0.02], [rng.uniform(-0.03, 0.05), y + rng.uniform(-0.03, 0.05)]]),)


def _comma(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    y, fall = rng.uniform(0.82, 0.98), rng.uniform(0.12, 0.3)
    return (np.array([[0.0, y], [0.03, y + fall / 2], [-rng.uniform(0.0, 0.12), y + fall]]),)


def _dash(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    y, length, tilt = rng.uniform(0.4, 0.7), rng.uniform(0.22, 0.8), rng.normal(0, 0.06)
    return (np.array([[0.0, y], [length / 2, y + tilt / 2 + rng.normal(0, 0.02)], [length, y + tilt]]),)


def _slash(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    lean, over = rng.uniform(0.25, 0.8), rng.uniform(0.15, 0.4)  # longer than a digit, unlike a leaning 1
    return (np.array([[lean, -over], [lean / 2 + rng.normal(0, 0.02), 0.5], [0.0, 1 + over]]),)


def _closing(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    first, second = _dash(rng)[0], _dash(rng)[0]
    middle, apart = rng.uniform(0.4, 0.7), rng.uniform(0.1, 0.2)
    first[:, 1] += middle - apart - first[0, 1]
    second[:, 1] += middle + apart - second[0, 1]
    return first, second


def _cross(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """The x that crosses out an empty cell, often small."""
    size, middle = rng.uniform(0.3, 1.0), rng.uniform(0.4, 0.65)
    wide = size * rng.uniform(0.7, 1.2)
    top, bottom = middle - size / 2, middle + size / 2
    bow = rng.normal(0, 0.05, 2)
    return (
        np.array([[0.0, top], [wide / 2 + bow[0], middle], [wide, bottom]]),
        np.array([[wide, top], [wide / 2 + bow[1], middle], [rng.normal(0, 0.05), bottom]]),
    )


_SIGNS: Final = {".": _dot, ",": _comma, "-": _dash, "/": _slash, "=": _closing, "x": _cross}


def _lay_out(
    parts: list[_Part | None], rng: np.random.Generator, height_px: float, style: LineStyle, *, joined_zeros: range
) -> tuple[list[tuple[float, float]], int, tuple[float, ...]]:
    """Top left corner of each part, the sheet's width, and the cell borders."""
    corners: list[tuple[float, float]] = []
    x, drift = 0.0, 0.0
    pitch = style.pitch * height_px
    for index, part in enumerate(parts):
        drift = 0.7 * drift + float(rng.normal(0, style.drift_sd)) * height_px
        width = part.coverage.shape[1] if part is not None else 0.0
        if pitch:
            x = (index + 0.5) * pitch - width / 2 + float(rng.normal(0, 0.06)) * height_px
        corners.append((max(x, 0.0), drift))
        joined = index in joined_zeros and index + 1 in joined_zeros
        gap = rng.normal(*_JOINED_ZEROS_GAP) if joined else rng.normal(style.gap, style.gap_sd)
        gap = max(float(gap), -0.25)
        x += (width + gap * height_px) if part is not None else 0.5 * height_px * float(rng.uniform(0.6, 1.8))
        x = max(x, corners[-1][0] + 0.3 * width)  # a comma may be under a digit, but never before it
    ends = [place[0] + part.coverage.shape[1] for place, part in zip(corners, parts, strict=True) if part is not None]
    cells = tuple(index * pitch for index in range(len(parts) + 1)) if pitch else ()
    return corners, int(max([*ends, *cells, 1.0])) + 2, cells


def _paste(sheet: UInt8[np.ndarray, "h w"], coverage: UInt8[np.ndarray, "_ _"], x: int, y: int) -> None:
    """Draw a part onto the sheet, in place, clipped to it; where strokes overlap, the darker wins."""
    top, bottom = max(y, 0), min(y + coverage.shape[0], sheet.shape[0])
    left, right = max(x, 0), min(x + coverage.shape[1], sheet.shape[1])
    if top < bottom and left < right:
        region = sheet[top:bottom, left:right]
        np.maximum(region, coverage[top - y : bottom - y, left - x : right - x], out=region)


def _shear(sheet: UInt8[np.ndarray, "h w"], style: LineStyle, base: float) -> UInt8[np.ndarray, "h w2"]:
    """The sheet stretched and sheared about its base line."""
    height, width = sheet.shape
    wide = style.wide if not style.pitch else 1.0
    left = max(style.lean, 0) * (height - base) + max(-style.lean, 0) * base
    matrix = np.array([[wide, -style.lean, left + style.lean * base], [0.0, 1.0, 0.0]])
    return np.asarray(
        cv2.warpAffine(sheet, matrix, (int(width * wide + abs(style.lean) * height) + 1, height)), np.uint8
    )
