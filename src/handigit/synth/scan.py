"""What a scanner and the cutting-out leave of a glyph: coarseness, softness, grain and contrast.

The cheap stand-in, in 28 pixels, for drawing a page with `paper.py` and `camera.py` and finding the digit on it.
"""

import cv2
import numpy as np
from jaxtyping import UInt8

from handigit.synth.writer import Pen


def scan(glyph: UInt8[np.ndarray, "28 28"], pen: Pen, rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """The glyph as a scanner saw it; about one in three comes out untouched."""
    coarse, soft, contrast = rng.random(3)
    if coarse < 0.18:
        glyph = _coarse(glyph, rng)
    if pen.grain > 0.15:
        glyph = _grainy(glyph, pen.grain, rng)
    if soft < 0.35:
        glyph = np.asarray(cv2.GaussianBlur(glyph, (5, 5), rng.uniform(0.4, 1.0)), np.uint8)
    if contrast < 0.35:
        glyph = cv2.convertScaleAbs(glyph, alpha=rng.uniform(0.65, 1.7)).astype(np.uint8, copy=False)
    return glyph


def _coarse(glyph: UInt8[np.ndarray, "28 28"], rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """Seen in too few pixels, some of them forced to black or white as old scanners did."""
    side = int(rng.integers(14, 25))
    small = cv2.resize(glyph, (side, side), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        small = cv2.threshold(small, rng.uniform(0.25, 0.5) * small.max(), 255, cv2.THRESH_BINARY)[1]
    return np.asarray(cv2.resize(small, (28, 28), interpolation=cv2.INTER_LINEAR), np.uint8)


def _grainy(glyph: UInt8[np.ndarray, "28 28"], grain: float, rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """The ink where the paper took it; the bare paper stays bare."""
    loss = rng.random((28, 28), np.float32)
    return np.asarray(glyph * (1 - grain * loss), np.uint8)
