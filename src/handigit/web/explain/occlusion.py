"""Where in a glyph the evidence lies: what becomes of the answer while a blank patch hides a part of it.

Occlusion (Zeiler & Fergus 2014, https://arxiv.org/abs/1311.2901), which asks the model itself and needs no gradients.
"""

from typing import Final

import numpy as np
from jaxtyping import Float32

from handigit.read import Engine

PATCH_PX: Final = 5
STEP_PX: Final = 2


def evidence(engine: Engine, glyph: Float32[np.ndarray, "28 28"], *, value: int) -> Float32[np.ndarray, "28 28"]:
    """How much each pixel speaks for a digit: the mean fall of its log odds over all patches that hide the pixel.

    Below 0 the pixel speaks against it: hidden, the digit becomes likelier.
    """
    corners = [(y, x) for y in _starts(glyph.shape[0]) for x in _starts(glyph.shape[1])]
    covered = [np.s_[y : y + PATCH_PX, x : x + PATCH_PX] for y, x in corners]
    inked = [patch for patch in covered if glyph[patch].any()]
    glyphs = np.repeat(glyph[None], len(inked) + 1, axis=0)
    for hidden, patch in zip(glyphs[1:], inked, strict=True):
        hidden[patch] = 0
    odds = _log_odds(engine.probabilities(glyphs)[:, value])
    total, count = np.zeros_like(glyph), np.zeros_like(glyph)
    for patch in covered:
        count[patch] += 1
    for patch, fall in zip(inked, odds[0] - odds[1:], strict=True):
        total[patch] += fall
    return np.asarray(total / count)


def _starts(side: int) -> range | list[int]:
    """Where patches begin, the last at the far edge."""
    return [*range(0, side - PATCH_PX, STEP_PX), side - PATCH_PX]


def _log_odds(shares: np.ndarray) -> Float32[np.ndarray, " n"]:
    within = np.clip(shares, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(within / (1 - within)), np.float32)
