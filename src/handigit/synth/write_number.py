"""A number as one person writes it: digits side by side, touching, in cells, drifting off the line.

Digits come from a pen of our own or from somebody's hand (real glyphs); signs always from the pen. It gives the cover
of ink on a sheet cut to it, and knows nothing of paper.
"""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from handigit.synth.draw import FINE, paint
from handigit.synth.ink import Ink
from handigit.synth.nondigits import CLEAR_MARKS, LATIN, scribble, word
from handigit.synth.real_digits import Hand, cut_to_ink
from handigit.synth.shapes.allographs import IN_NUMBERS
from handigit.synth.shapes.signs import SIGNS
from handigit.synth.strokes import figure
from handigit.synth.writer import Pen, Writer, write, write_stroke

CURRENCIES: Final = tuple(sign for sign in "$€£¥" if sign in SIGNS)
_STRANGE: Final = tuple(sign for sign in CLEAR_MARKS if sign not in "√✓")
"""Signs that are no part of a number; a hook is a 5 in some hands."""
_SMALL_ENDINGS: Final = 0.4
"""Share of the numbers with zeros at their end in which these are smaller."""
_CHAINED: Final = 0.3
"""Share of them whose last zeros are written in one go, each into the next."""
_CHAIN_GAP: Final = (-0.06, 0.05)
"""Mean and spread of the gap between chained zeros, in heights."""
_TURN: Final = 0.09
"""How differently a hand writes the same digit twice, as standard deviations: turned by so much (radians),"""
_LEAN: Final = 0.08
"""its top so much further to the right, in heights,"""
_WIDTH: Final = 0.1
"""and so much wider, as a logarithm."""
_ROOM: Final = 0.3
"""Empty height above and below the digits, in heights, for what stands out."""


@dataclass(frozen=True, slots=True, eq=False)
class Writing:
    """Ink on a sheet: `cover` 0..255, digits about `height_px` high with their feet on row `base_px`.

    `cells`: columns of the borders of the cells it was written into; empty for free writing.
    """

    cover: UInt8[np.ndarray, "h w"]
    height_px: float
    base_px: float
    cells: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Manner:
    """How somebody fills a line: all lengths in heights of a digit.

    `gap` and `gap_sd`: between the boxes of two digits, below 0 where they overlap; `drift_sd`: of each foot off the
    line; `size_sd`: of each height; `lean`: how far the whole leans to the right; `wide`: stretch of all widths;
    `pitch`: width of a cell, 0 where there are none.
    """

    gap: float
    gap_sd: float
    drift_sd: float
    size_sd: float
    lean: float
    wide: float
    pitch: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Manner":
        """Any manner: a third writes tightly, more than one in five into cells."""
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
    manner: Manner,
    hand: Hand | None = None,
    by: tuple[Writer, Pen] | None = None,
) -> Writing:
    """The text (characters of `texts.ALPHABET` and gaps) by one writer with one pen: these, or any."""
    writer, pen = by or (Writer.draw(rng), Pen.draw(rng))
    chain = rng.random() < _CHAINED
    sizes = _sizes(text, rng, manner, chain=chain) * height_px
    parts = [
        _on_line(_part(character, rng, float(size), (writer, pen, hand)), height_px - float(size))
        for character, size in zip(text, sizes, strict=True)
    ]
    room = round(_ROOM * height_px)
    placed, width, cells = _places(parts, rng, height_px, manner, chained=_last_zeros(text) if chain else range(0))
    sheet = np.zeros((round(height_px) + 2 * room, width), np.uint8)
    for part, (x, y) in zip(parts, placed, strict=True):
        if part is not None:
            _lay(sheet, part.cover, round(x), round(y + part.top) + room)
    base = height_px + room
    if manner.lean or manner.wide != 1:
        sheet = _leaning(sheet, manner, base)
    return Writing(sheet, height_px, base, cells)


def _sizes(text: str, rng: np.random.Generator, manner: Manner, *, chain: bool) -> Float64[np.ndarray, " n"]:
    """The height of each character, in heights; the zeros that end a number are often smaller, as are its cents."""
    sizes = np.clip(rng.normal(1, manner.size_sd, len(text)), 0.6, 1.5)
    ending = len(text) - len(text.rstrip("0 .,-="))
    if ending > 1 and (chain or rng.random() < _SMALL_ENDINGS):
        sizes[-ending:] *= rng.uniform(0.5, 0.9)
    return np.asarray(sizes)


def _last_zeros(text: str) -> range:
    """Where the zeros stand that end the number, before what closes it."""
    number = text.rstrip(".,-=")
    return range(len(number.rstrip("0")), len(number))


def _on_line(part: "_Part | None", lower_px: float) -> "_Part | None":
    """A character of another height, its foot where the others have theirs."""
    return None if part is None else _Part(part.cover, part.top + lower_px)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One character's cover, and how far below the top of the digits its top lies, in pixels."""

    cover: UInt8[np.ndarray, "h w"]
    top: float


def _part(
    character: str, rng: np.random.Generator, height_px: float, who: tuple[Writer, Pen, Hand | None]
) -> _Part | None:
    """One character; None for a gap."""
    writer, pen, hand = who
    if character == " ":
        return None
    if hand is not None and character.isdecimal() and (glyph := hand.digit(int(character), rng)) is not None:
        return _scaled(_written_again(glyph, rng), height_px)
    ink = _ink(character, writer, pen, rng)
    (left, top), (right, bottom) = ink.extent().tolist()
    if character.isdecimal() or character == "?":
        ink = ink.placed(1 / max(bottom - top, 0.6 * (right - left), 0.3), (0.0, 0.0))
        (left, top), (right, bottom) = ink.extent().tolist()
        ink, bottom, top = ink.placed(1.0, (0.0, -top)), bottom - top, 0.0
    return _drawn(ink, height_px)


def _written_again(glyph: UInt8[np.ndarray, "_ _"], rng: np.random.Generator) -> UInt8[np.ndarray, "_ _"]:
    """A real digit as the same person might write it another time: turned, leaning, narrower or wider."""
    turn, lean, wide = rng.normal(0, [_TURN, _LEAN, _WIDTH])
    matrix = np.array([[math.exp(wide), -lean, 0.0], [0.0, 1.0, 0.0]])
    matrix[:, :2] = [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]] @ matrix[:, :2]
    height, width = glyph.shape
    room = round(1.5 * max(height, width))
    matrix[:, 2] = room / 2 - matrix[:, :2] @ [width / 2, height / 2]
    again = cv2.warpAffine(glyph, matrix, (room, room)).astype(np.uint8, copy=False)
    return cut_to_ink(again)


def _scaled(glyph: UInt8[np.ndarray, "_ _"], height_px: float) -> _Part:
    """A real digit at that height; a flat one less than its width would make it."""
    height, width = glyph.shape
    scale = height_px / max(height, 0.75 * width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    cover = cv2.resize(glyph, size, interpolation=how).astype(np.uint8, copy=False)
    return _Part(cover, height_px - size[1])


def _drawn(ink: Ink, height_px: float) -> _Part:
    """The pen's strokes at that height."""
    (left, top), (right, bottom) = (ink.extent() * height_px).tolist()
    width, height = int(right - left) + 3, int(bottom - top) + 3
    canvas = np.zeros((height * FINE, width * FINE), np.uint8)
    paint(canvas, ink, scale=height_px * FINE, shift=((1 - left) * FINE, (1 - top) * FINE))
    cover = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return _Part(cover, top - 1)


def _ink(character: str, writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """One character in heights, the digits' line between 0 and 1."""
    if character.isdecimal():
        allograph = writer.allograph(int(character), rng, among=IN_NUMBERS)
        return write(figure(allograph.strokes), writer, pen, rng)
    if character == "$":
        sign = CURRENCIES[int(rng.integers(len(CURRENCIES)))]
        shapes = SIGNS[sign]
        return write(figure(shapes[rng.integers(len(shapes))]), writer, pen, rng)
    if character == "?":
        return _anything(writer, pen, rng)
    strokes = _SIGNS[character](rng)
    ink = write_stroke(strokes[0], writer, pen, rng)
    for points in strokes[1:]:
        ink += write_stroke(points, writer, pen, rng)
    return ink


def _anything(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """What is no part of a number."""
    chance = rng.random()
    if chance < 0.35:
        return word(writer, pen, rng)
    if chance < 0.5:
        return scribble(writer, pen, rng)
    signs = LATIN if chance < 0.9 else _STRANGE
    shapes = SIGNS[signs[int(rng.integers(len(signs)))]]
    return write(figure(shapes[rng.integers(len(shapes))]), writer, pen, rng)


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
    lean, over = rng.uniform(0.25, 0.8), rng.uniform(0.15, 0.4)  # longer than a digit: a leaning 1 is none
    return (np.array([[lean, -over], [lean / 2 + rng.normal(0, 0.02), 0.5], [0.0, 1 + over]]),)


def _closing(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    first, second = _dash(rng)[0], _dash(rng)[0]
    middle, apart = rng.uniform(0.4, 0.7), rng.uniform(0.1, 0.2)
    first[:, 1] += middle - apart - first[0, 1]
    second[:, 1] += middle + apart - second[0, 1]
    return first, second


def _cross(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """The x that crosses out an empty place, often small."""
    size, middle = rng.uniform(0.3, 1.0), rng.uniform(0.4, 0.65)
    wide = size * rng.uniform(0.7, 1.2)
    top, bottom = middle - size / 2, middle + size / 2
    bow = rng.normal(0, 0.05, 2)
    return (
        np.array([[0.0, top], [wide / 2 + bow[0], middle], [wide, bottom]]),
        np.array([[wide, top], [wide / 2 + bow[1], middle], [rng.normal(0, 0.05), bottom]]),
    )


_SIGNS: Final = {".": _dot, ",": _comma, "-": _dash, "/": _slash, "=": _closing, "x": _cross}


def _places(
    parts: list[_Part | None], rng: np.random.Generator, height_px: float, manner: Manner, *, chained: range
) -> tuple[list[tuple[float, float]], int, tuple[float, ...]]:
    """Where each part's left top goes, the sheet's width, and the borders of the cells."""
    places: list[tuple[float, float]] = []
    x, drift = 0.0, 0.0
    pitch = manner.pitch * height_px
    for index, part in enumerate(parts):
        drift = 0.7 * drift + float(rng.normal(0, manner.drift_sd)) * height_px
        width = part.cover.shape[1] if part is not None else 0.0
        if pitch:
            x = (index + 0.5) * pitch - width / 2 + float(rng.normal(0, 0.06)) * height_px
        places.append((max(x, 0.0), drift))
        joined = index in chained and index + 1 in chained
        gap = rng.normal(*_CHAIN_GAP) if joined else rng.normal(manner.gap, manner.gap_sd)
        gap = max(float(gap), -0.25)
        x += (width + gap * height_px) if part is not None else 0.5 * height_px * float(rng.uniform(0.6, 1.8))
        x = max(x, places[-1][0] + 0.3 * width)  # a comma may stand under a digit, but never before it
    ends = [place[0] + part.cover.shape[1] for place, part in zip(places, parts, strict=True) if part is not None]
    cells = tuple(index * pitch for index in range(len(parts) + 1)) if pitch else ()
    return places, int(max([*ends, *cells, 1.0])) + 2, cells


def _lay(sheet: UInt8[np.ndarray, "h w"], cover: UInt8[np.ndarray, "_ _"], x: int, y: int) -> None:
    """Put a part on the sheet, in place, as far as it lies there; where strokes meet the darker stays."""
    top, bottom = max(y, 0), min(y + cover.shape[0], sheet.shape[0])
    left, right = max(x, 0), min(x + cover.shape[1], sheet.shape[1])
    if top < bottom and left < right:
        there = sheet[top:bottom, left:right]
        np.maximum(there, cover[top - y : bottom - y, left - x : right - x], out=there)


def _leaning(sheet: UInt8[np.ndarray, "h w"], manner: Manner, base: float) -> UInt8[np.ndarray, "h w2"]:
    """The sheet stretched and leaning, its base line where it was."""
    height, width = sheet.shape
    wide = manner.wide if not manner.pitch else 1.0
    left = max(manner.lean, 0) * (height - base) + max(-manner.lean, 0) * base
    matrix = np.array([[wide, -manner.lean, left + manner.lean * base], [0.0, 1.0, 0.0]])
    return np.asarray(
        cv2.warpAffine(sheet, matrix, (int(width * wide + abs(manner.lean) * height) + 1, height)), np.uint8
    )
