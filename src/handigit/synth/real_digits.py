"""Real digits as one person might have written them: glyphs of a data set chosen by how alike their writing is.

MNIST does not say who wrote what. Slant and thickness of the stroke are what makes digits look like one hand, so a
hand here is a place in that plane, and its digits are those that lie nearest. It knows nothing of numbers.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8

_LOOKED_THROUGH = 384
"""Digits of a value among which the likest are looked for, drawn anew each time."""
_MIXED = 0.35
"""Share of numbers to which each digit comes from anybody, as in numbers that are put together for tests."""
_LIKEST = 8
"""Of so many likest ones any may come, so that a hand does not repeat itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Hands:
    """Digits cut to their ink, by value, each with its slant and stroke in standard deviations from the mean."""

    digits: tuple[tuple[UInt8[np.ndarray, "_ _"], ...], ...]
    manners: tuple[Float32[np.ndarray, "_ 2"], ...]

    @classmethod
    def of(cls, glyphs: UInt8[np.ndarray, "n 28 28"], labels: Int64[np.ndarray, " n"]) -> "Hands":
        """The hands behind the labelled glyphs of a data set, 0..255, ink bright."""
        manners = np.array([_manner(glyph) for glyph in glyphs], np.float32)
        manners = (manners - manners.mean(axis=0)) / (manners.std(axis=0) + 1e-6)
        by_value = [np.flatnonzero(labels == value) for value in range(10)]
        digits = tuple(tuple(cut_to_ink(glyphs[i]) for i in places) for places in by_value)
        return cls(digits, tuple(manners[places] for places in by_value))

    @property
    def weight(self) -> float:
        """How often these hands write: the square root of their digits, so that small sets count."""
        return float(np.sqrt(sum(map(len, self.digits))))

    def hand(self, rng: np.random.Generator) -> "Hand":
        """Somebody's."""
        value = int(rng.integers(10))
        while not len(self.manners[value]):
            value = (value + 1) % 10
        manner = self.manners[value][rng.integers(len(self.manners[value]))]
        return Hand(self, manner, mixed=bool(rng.random() < _MIXED))


@dataclass(frozen=True, slots=True, eq=False)
class Hand:
    """One person's way to write; `mixed`: as many people as there are digits."""

    hands: Hands
    manner: Float32[np.ndarray, "2"]
    mixed: bool = False

    def digit(self, value: int, rng: np.random.Generator) -> UInt8[np.ndarray, "_ _"] | None:
        """A digit of this value, its ink bright and cut to its box; None if nobody wrote one."""
        manners = self.hands.manners[value]
        if not len(manners):
            return None
        if self.mixed:
            return self.hands.digits[value][int(rng.integers(len(manners)))]
        some = rng.integers(len(manners), size=min(len(manners), _LOOKED_THROUGH))
        off = np.abs(manners[some] - self.manner).sum(axis=1)
        nearest = np.argpartition(off, min(_LIKEST, len(off)) - 1)[:_LIKEST]
        return self.hands.digits[value][int(some[nearest[rng.integers(len(nearest))]])]


def _manner(glyph: UInt8[np.ndarray, "28 28"]) -> tuple[float, float]:
    """Slant, by second moments, and thickness, by ink over outline."""
    moments = cv2.moments(glyph)
    slant = -moments["mu11"] / max(moments["mu02"], 1.0)
    stroke = (glyph > 96).view(np.uint8)
    rim = cv2.countNonZero(cv2.subtract(stroke, cv2.erode(stroke, np.ones((3, 3), np.uint8))))
    return slant, cv2.countNonZero(stroke) / max(rim, 1)


def cut_to_ink(glyph: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "_ _"]:
    """The glyph without its margin; as it is where nothing is written."""
    left, top, width, height = cv2.boundingRect((glyph > 24).view(np.uint8))
    return glyph[top : top + height, left : left + width].copy() if width and height else glyph
