"""A bank of drawn digits, and which of them are nearest to a glyph in a model's eyes.

The digits are drawn by the same pens as part of the model's training data; no data set is kept here. It knows arrays,
nothing of pages.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from jaxtyping import Float32

from handigit.synth.sets import Synthetic, digits
from handigit.web.explain.activations import Inside

BANK: Final = 600
_SEED: Final = 6
_STEP: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class Neighbour:
    """A drawn digit, and how far it is: 0 the same, 1 nothing in common."""

    glyph: Float32[np.ndarray, "28 28"]
    label: int
    distance: float


class Neighbours:
    """The bank, as one model sees it; as pixels where there is nothing to be seen inside."""

    def __init__(self, inside: Inside | None) -> None:
        self._inside = inside
        glyphs = _bank().glyphs.astype(np.float32) / 255
        parts = [self._features(glyphs[start : start + _STEP]) for start in range(0, BANK, _STEP)]
        self._bank = np.concatenate(parts)

    def nearest(self, glyph: Float32[np.ndarray, "28 28"], *, count: int) -> list[Neighbour]:
        """The drawn digits that are most alike, nearest first, by the cosine of their features."""
        distances = 1 - self._bank @ self._features(glyph[None])[0]
        drawn = _bank()
        return [
            Neighbour(drawn.glyphs[n].astype(np.float32) / 255, int(drawn.labels[n]), max(0.0, float(distances[n])))
            for n in np.argsort(distances)[:count].tolist()
        ]

    def _features(self, glyphs: Float32[np.ndarray, "n 28 28"]) -> Float32[np.ndarray, "n features"]:
        """Features of length one."""
        values = self._inside.features(glyphs) if self._inside else glyphs.reshape(len(glyphs), -1)
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        return np.asarray(values / np.maximum(lengths, 1e-6), np.float32)


@cache
def _bank() -> Synthetic:
    return digits(BANK, seed=_SEED)
