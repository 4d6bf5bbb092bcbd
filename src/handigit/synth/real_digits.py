"""Real digits grouped by style of writing, so that several of them look like one person's hand.

MNIST does not record its writers. Slant and stroke thickness make digits look alike, so a hand is a point in that
plane, and its digits are the nearest ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8

_CANDIDATES = 384
"""Digits of a value that are compared with the style, drawn at random each time."""
_MIXED_RATE = 0.35
"""Fraction of the numbers with digits of any hands, as in numbers composed for tests."""
_NEAREST = 8
"""One of the nearest digits is drawn at random, so that a hand does not repeat itself."""

Trusts = Callable[[Sequence[UInt8[np.ndarray, "_ _"]], int | None], Sequence[bool]]
"""Which pictures (0..255, ink bright) show the digit that they are labelled with, or, where that is None, no digit."""


@dataclass(frozen=True, slots=True, eq=False)
class Hands:
    """Digits cropped to their ink, by value, each with its slant and stroke thickness in standard deviations."""

    digits: tuple[tuple[UInt8[np.ndarray, "_ _"], ...], ...]
    styles: tuple[Float32[np.ndarray, "_ 2"], ...]
    weight: float
    """How often these hands write, relative to others."""

    @classmethod
    def of(
        cls,
        glyphs: Sequence[UInt8[np.ndarray, "_ _"]] | UInt8[np.ndarray, "n 28 28"],
        labels: Int64[np.ndarray, " n"],
        *,
        weight: float | None = None,
    ) -> "Hands":
        """The labelled glyphs of a data set (0..255, ink bright), grouped.

        `weight`: None for the square root of their number, so that small sets count.
        """
        styles = np.array([_measure_style(glyph) for glyph in glyphs], np.float32)
        styles = (styles - styles.mean(axis=0)) / (styles.std(axis=0) + 1e-6)
        by_value = [np.flatnonzero(labels == value) for value in range(10)]
        digits = tuple(tuple(crop_to_ink(glyphs[i]) for i in indices.tolist()) for indices in by_value)
        grouped = tuple(styles[indices] for indices in by_value)
        return cls(digits, grouped, float(np.sqrt(len(labels))) if weight is None else weight)

    def only(self, trusts: Trusts) -> "Hands":
        """The same hands without digits that are not trusted."""
        kept = [np.flatnonzero(trusts(glyphs, value)) for value, glyphs in enumerate(self.digits)]
        digits = tuple(tuple(glyphs[i] for i in rows.tolist()) for glyphs, rows in zip(self.digits, kept, strict=True))
        return Hands(digits, tuple(styles[rows] for styles, rows in zip(self.styles, kept, strict=True)), self.weight)

    def hand(self, rng: np.random.Generator) -> "Hand":
        """A random hand."""
        value = int(rng.integers(10))
        while not len(self.styles[value]):
            value = (value + 1) % 10
        style = self.styles[value][rng.integers(len(self.styles[value]))]
        return Hand(self, style, mixed=bool(rng.random() < _MIXED_RATE))


@dataclass(frozen=True, slots=True, eq=False)
class Hand:
    """One person's style; `mixed`: each digit is by a different person."""

    hands: Hands
    style: Float32[np.ndarray, "2"]
    mixed: bool = False

    def digit(self, value: int, rng: np.random.Generator) -> UInt8[np.ndarray, "_ _"] | None:
        """A digit of this value, ink bright, cropped to its box; None if the set has none."""
        styles = self.hands.styles[value]
        if not len(styles):
            return None
        if self.mixed:
            return self.hands.digits[value][int(rng.integers(len(styles)))]
        candidates = rng.integers(len(styles), size=min(len(styles), _CANDIDATES))
        distances = np.abs(styles[candidates] - self.style).sum(axis=1)
        nearest = np.argpartition(distances, min(_NEAREST, len(distances)) - 1)[:_NEAREST]
        return self.hands.digits[value][int(candidates[nearest[rng.integers(len(nearest))]])]


def crop_to_ink(glyph: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "_ _"]:
    """The glyph without its margin; unchanged if it has no ink."""
    left, top, width, height = cv2.boundingRect((glyph > 24).view(np.uint8))
    return glyph[top : top + height, left : left + width].copy() if width and height else glyph


def _measure_style(glyph: UInt8[np.ndarray, "28 28"]) -> tuple[float, float]:
    """Slant, by second moments, and thickness, by ink over outline."""
    moments = cv2.moments(glyph)
    slant = -moments["mu11"] / max(moments["mu02"], 1.0)
    stroke = (glyph > 96).view(np.uint8)
    rim = cv2.countNonZero(cv2.subtract(stroke, cv2.erode(stroke, np.ones((3, 3), np.uint8))))
    return slant, cv2.countNonZero(stroke) / max(rim, 1)
