"""The synthetic digits most similar to a glyph, by a model's own features.

The bank is drawn by the same synthesiser as part of the training data; no data set is stored here.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from jaxtyping import Float32

from handigit.synth.sets import Synthetic, digits
from handigit.web.explain.activations import Activations

BANK_SIZE: Final = 600
_SEED: Final = 6
_BATCH: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class Neighbour:
    """A synthetic digit and its cosine distance: 0 identical, 1 nothing in common."""

    glyph: Float32[np.ndarray, "28 28"]
    label: int
    distance: float


class Neighbours:
    """The bank's features under one model; raw pixels where the model cannot be inspected (`None`)."""

    def __init__(self, activations: Activations | None) -> None:
        self._activations = activations
        glyphs = _bank().glyphs.astype(np.float32) / 255
        batches = [self._features(glyphs[start : start + _BATCH]) for start in range(0, BANK_SIZE, _BATCH)]
        self._bank = np.concatenate(batches)

    def nearest(self, glyph: Float32[np.ndarray, "28 28"], *, count: int) -> list[Neighbour]:
        """The most similar digits, nearest first, by cosine distance."""
        distances = 1 - self._bank @ self._features(glyph[None])[0]
        bank = _bank()
        return [
            Neighbour(bank.glyphs[n].astype(np.float32) / 255, int(bank.labels[n]), max(0.0, float(distances[n])))
            for n in np.argsort(distances)[:count].tolist()
        ]

    def _features(self, glyphs: Float32[np.ndarray, "n 28 28"]) -> Float32[np.ndarray, "n features"]:
        """Unit-length feature vectors."""
        values = self._activations.features(glyphs) if self._activations else glyphs.reshape(len(glyphs), -1)
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        return np.asarray(values / np.maximum(lengths, 1e-6), np.float32)


@cache
def _bank() -> Synthetic:
    return digits(BANK_SIZE, seed=_SEED)
