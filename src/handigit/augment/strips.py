"""Strips of numbers varied as other hands, pens and scanners would: bent, stretched, slanted, blurred, faded, noisy."""

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

_KNOT_PX: Final = 14
"""Distance between points that are moved independently: about half the height of a digit."""


def vary_strip(grey: UInt8[np.ndarray, "48 width"], rng: np.random.Generator) -> UInt8[np.ndarray, "48 _"]:
    """One strip, varied at random; about 0.3 ms."""
    grey = _warp(_with_margin(grey, rng) if rng.random() < 0.3 else grey, rng)
    chance = rng.random(5)
    if chance[0] < 0.25:
        kernel = np.ones((2, 2) if rng.random() < 0.6 else (3, 3) if rng.random() < 0.5 else (1, 2), np.uint8)
        changed = (cv2.erode if rng.random() < 0.55 else cv2.dilate)(grey, kernel)
        grey = cv2.addWeighted(changed, share := float(rng.uniform(0.4, 1.0)), grey, 1 - share, 0)
    if chance[1] < 0.15:
        grey = _coarser(grey, rng)
    elif chance[1] < 0.45:
        grey = cv2.GaussianBlur(grey, (5, 5), float(rng.uniform(0.3, 1.4)))
    if chance[2] < 0.5:
        levels = (np.arange(256) / 255) ** rng.uniform(0.6, 1.7) * rng.uniform(0.4, 1.0)
        grey = cv2.LUT(grey, np.clip(255 * (levels + rng.uniform(0, 1) * (1 - levels[-1])), 0, 255).astype(np.uint8))
    if chance[3] < 0.3:
        noise: Float32[np.ndarray, "48 _"] = rng.standard_normal(grey.shape, np.float32)
        grey = np.clip(grey + noise * np.float32(rng.uniform(2, 16)), 0, 255)
    return np.asarray(grey, np.uint8)


def _with_margin(grey: UInt8[np.ndarray, "48 width"], rng: np.random.Generator) -> UInt8[np.ndarray, "48 _"]:
    """The strip on a larger piece of paper, whose shade is that of the strip or of its border."""
    above, below, left, right = (rng.uniform(0, 0.3, 4) * grey.shape[0]).astype(int).tolist()
    how = cv2.BORDER_REPLICATE if rng.random() < 0.4 else cv2.BORDER_CONSTANT
    paper = float(np.quantile(grey[::3, ::3], 0.7))
    larger = cv2.copyMakeBorder(grey, above, below, left, right, how, value=paper)
    width = max(16, round(larger.shape[1] * grey.shape[0] / larger.shape[0]))
    return np.asarray(cv2.resize(larger, (width, grey.shape[0]), interpolation=cv2.INTER_AREA), np.uint8)


def _warp(grey: UInt8[np.ndarray, "48 width"], rng: np.random.Generator) -> UInt8[np.ndarray, "48 _"]:
    """The strip stretched, slanted, tilted, shifted and bent, its border repeated into the gaps."""
    height, width = grey.shape
    stretch = float(np.exp(rng.uniform(np.log(0.8), np.log(1.35))))
    target = max(16, round(width * stretch))
    tall, shift = float(np.exp(rng.normal(0, 0.07))), float(rng.normal(0, 1.5))
    lean, tilt = float(rng.normal(0, 0.12)), float(rng.normal(0, 0.012))
    x, y = np.arange(target, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    middle_x, middle_y = target / 2, height / 2
    from_x = (x - middle_x) / np.float32(stretch) + width / 2 + np.float32(lean) * (y - middle_y)
    from_y = (y - middle_y) * np.float32(tall) + middle_y + np.float32(shift) + np.float32(tilt) * (x - middle_x)
    strength = max(0.0, float(rng.uniform(-0.6, 2.0)))
    if strength:
        knots = 2 + height // _KNOT_PX, 2 + target // _KNOT_PX
        bends = rng.standard_normal((2, *knots), np.float32) * np.float32(strength)
        from_x = from_x + cv2.resize(bends[0], (target, height), interpolation=cv2.INTER_CUBIC)
        from_y = from_y + cv2.resize(bends[1], (target, height), interpolation=cv2.INTER_CUBIC)
    from_x, from_y = np.broadcast_to(from_x, (height, target)), np.broadcast_to(from_y, (height, target))
    moved = cv2.remap(
        grey, np.ascontiguousarray(from_x, np.float32), np.ascontiguousarray(from_y, np.float32),
        cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.asarray(moved, np.uint8)


def _coarser(grey: UInt8[np.ndarray, "48 width"], rng: np.random.Generator) -> UInt8[np.ndarray, "48 width"]:
    """As if scanned at a lower resolution."""
    share = rng.uniform(0.4, 0.8)
    small = cv2.resize(grey, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (grey.shape[1], grey.shape[0]), interpolation=cv2.INTER_LINEAR), np.uint8)
