"""Evidence for an answer: the pixels that it depends on, and the synthetic digits most similar to the glyph."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from jaxtyping import Float32

from handigit.read import Engine
from handigit.synth.sets import Synthetic, digits
from handigit.web.explain.activations import Activations

PATCH_PX: Final = 5
STEP_PX: Final = 2
BANK_SIZE: Final = 600
_SEED: Final = 6
_BATCH: Final = 100


def occlusion_map(engine: Engine, glyph: Float32[np.ndarray, "28 28"], *, value: int) -> Float32[np.ndarray, "28 28"]:
    """Mean drop of the digit's log odds over all patches that hide a pixel (Zeiler & Fergus 2014).

    It needs no gradients, so it works on the shipped ONNX file. https://arxiv.org/abs/1311.2901
    A negative pixel is evidence against the digit: hiding it makes the digit more likely.
    """
    corners = [(y, x) for y in _starts(glyph.shape[0]) for x in _starts(glyph.shape[1])]
    patches = [np.s_[y : y + PATCH_PX, x : x + PATCH_PX] for y, x in corners]
    inked = [patch for patch in patches if glyph[patch].any()]
    glyphs = np.repeat(glyph[None], len(inked) + 1, axis=0)
    for hidden, patch in zip(glyphs[1:], inked, strict=True):
        hidden[patch] = 0
    odds = _log_odds(engine.probabilities(glyphs)[:, value])
    total, count = np.zeros_like(glyph), np.zeros_like(glyph)
    for patch in patches:
        count[patch] += 1
    for patch, drop in zip(inked, odds[0] - odds[1:], strict=True):
        total[patch] += drop
    return np.asarray(total / count)


def _starts(side: int) -> list[int]:
    """Patch positions along one side, the last one flush with the far edge."""
    return [*range(0, side - PATCH_PX, STEP_PX), side - PATCH_PX]


def _log_odds(probabilities: np.ndarray) -> Float32[np.ndarray, " n"]:
    clipped = np.clip(probabilities, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(clipped / (1 - clipped)), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Neighbour:
    """A synthetic digit and its cosine distance: 0 identical, 1 nothing in common."""

    glyph: Float32[np.ndarray, "28 28"]
    label: int
    distance: float


class Neighbours:
    """A bank of synthetic digits by one model's features; raw pixels where the model cannot be inspected (`None`)."""

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
