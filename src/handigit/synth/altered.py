"""Non-digits made from real digits: turned, mirrored, struck through, with one more stroke, two in one.

Drawn non-digits alone would let a network tell digits from others by the pen that wrote them.
"""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from jaxtyping import Int64, UInt8

from handigit.images.glyph import normalise
from handigit.images.ink import Ink
from handigit.records import Box
from handigit.synth.nondigits import LEFT, MIRROR, OVER, RIGHT, STRUCK
from handigit.synth.real_digits import crop_to_ink

Picture = UInt8[np.ndarray, "height width"]

_SHARES: Final = {"turned": 0.3, "two": 0.2, "struck": 0.15, "joined": 0.35}
"""Fraction of each kind."""
_TURNS: Final = (("237", LEFT), ("2347", RIGHT), ("3", OVER), ("379", MIRROR), ("37", MIRROR @ LEFT))
"""Digits that a transformation turns into non-digits; of real hands a turned 5 is often a 9, a mirrored 6 a 2."""
_ENDS: Final = {
    "7": (((0.05, 0.1), (0.0, 0.75)), ((0.55, 0.5), (1.0, 1.0)), ((0.5, -0.3), (0.5, 0.0)), ((0.6, 0.4), (1.1, 0.9))),
    "1": (((0.5, 0.45), (3.0, 0.5)), ((0.5, 0.1), (4.0, 0.7)), ((0.5, 0.6), (3.0, 1.0))),
}
"""Strokes, as ends in widths and heights of a digit, that make a character of another alphabet of it."""
_REACH: Final = 14
"""Room around a digit for the ends of a stroke through it, in pixels."""


class Alterations:
    """Makes non-digits from labelled glyphs (0..255, ink bright)."""

    def __init__(self, glyphs: UInt8[np.ndarray, "n 28 28"], labels: Int64[np.ndarray, " n"]) -> None:
        self._glyphs = glyphs
        self._by_value = [np.flatnonzero(labels == value) for value in range(10)]
        self._makers: dict[str, Callable[[np.random.Generator], Picture]] = {
            "turned": self._turned,
            "two": self._two,
            "struck": self._struck,
            "joined": self._joined,
        }

    def draw(self, n: int, *, seed: int) -> UInt8[np.ndarray, "n 28 28"]:
        """`n` non-digits of random kinds, each scaled and centred like a digit."""
        rng = np.random.default_rng(seed)
        kinds = rng.choice(list(_SHARES), size=n, p=list(_SHARES.values()))
        pictures = [_normalise(self._makers[kind](rng)) for kind in kinds.tolist()]
        return np.stack(pictures)

    def _turned(self, rng: np.random.Generator) -> Picture:
        """A digit that a quarter turn, a half turn or a reflection makes a non-digit."""
        values, matrix = _TURNS[rng.integers(len(_TURNS))]
        digit = self._pick(values, rng)
        height, width = digit.shape
        corners = np.array([[0, 0], [width - 1, height - 1]]) @ matrix
        shift = -corners.min(axis=0)
        size = np.ptp(corners, axis=0).astype(int) + 1
        transform = np.column_stack([matrix.T, shift])
        return np.asarray(cv2.warpAffine(digit, transform, size.tolist(), flags=cv2.INTER_NEAREST), np.uint8)

    def _two(self, rng: np.random.Generator) -> Picture:
        """Two digits of about the same height side by side, apart or touching."""
        height = 20
        parts = []
        for value in rng.integers(10, size=2).tolist():
            digit = self._pick(str(value), rng)
            size = max(2, round(digit.shape[1] * height / digit.shape[0])), height
            parts.append(cv2.resize(digit, size, interpolation=cv2.INTER_AREA))
        gap = int(rng.integers(-2, 5))
        first, second = parts[0].shape[1], parts[1].shape[1]
        pair = np.zeros((height + 4, first + second + 4), np.uint8)
        lift = int(rng.integers(5))
        pair[2 : 2 + height, :first] = parts[0]
        start = max(first + gap, 0)
        place = pair[lift : lift + height, start : start + second]
        np.maximum(place, parts[1], out=place)
        return pair

    def _struck(self, rng: np.random.Generator) -> Picture:
        """A digit with a long stroke through it, level, upright or across."""
        digit = np.pad(self._pick(STRUCK, rng), _REACH)
        height, width = digit.shape
        angle = float(rng.choice([0, 90, 45, 135])) + rng.normal(0, 12)
        direction = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        middle = np.array([width, height]) / 2 + rng.normal(0, 2, 2)
        ends = [middle - direction * rng.uniform(12, 20), middle + direction * rng.uniform(12, 20)]
        start, stop = ((16 * end).round().astype(int).tolist() for end in ends)
        cv2.line(digit, start, stop, 255, int(rng.integers(2, 4)), cv2.LINE_AA, shift=4)
        return digit

    def _joined(self, rng: np.random.Generator) -> Picture:
        """A digit with one more stroke, as in kana that start with a 7."""
        values = list(_ENDS)
        value = values[int(rng.integers(len(values)))]
        digit = self._pick(value, rng)
        height, width = digit.shape
        canvas = np.pad(digit, 2 * _REACH)
        strokes = np.array(_ENDS[value])
        ends = strokes[rng.integers(len(strokes))] + rng.normal(0, 0.06, (2, 2))
        points = ends * [max(width, 6), height] + 2 * _REACH
        start, stop = ((16 * point).round().astype(int).tolist() for point in points)
        cv2.line(canvas, start, stop, 255, int(rng.integers(2, 4)), cv2.LINE_AA, shift=4)
        return canvas

    def _pick(self, values: str, rng: np.random.Generator) -> Picture:
        """A random digit of one of these values, cut to its ink."""
        members = self._by_value[int(values[rng.integers(len(values))])]
        return crop_to_ink(self._glyphs[members[rng.integers(len(members))]])


def _normalise(picture: Picture) -> UInt8[np.ndarray, "28 28"]:
    """The ink of a picture as a glyph."""
    left, top, width, height = cv2.boundingRect((picture > 24).view(np.uint8))
    glyph = normalise(Ink(picture.astype(np.float32) / 255, Box(left, top, left + width, top + height)))
    return np.asarray((glyph * 255).round(), np.uint8)
