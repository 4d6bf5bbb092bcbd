"""Occlusion maps: how the answer changes while a blank patch hides a part of the glyph.

Zeiler & Fergus 2014, https://arxiv.org/abs/1311.2901. It needs no gradients, so it works on the shipped ONNX file.
"""

from typing import Final

import numpy as np
from jaxtyping import Float32

from handigit.read import Engine

PATCH_PX: Final = 5
STEP_PX: Final = 2


def occlusion_map(engine: Engine, glyph: Float32[np.ndarray, "28 28"], *, value: int) -> Float32[np.ndarray, "28 28"]:
    """Mean drop of the digit's log odds over all patches that hide a pixel.

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
