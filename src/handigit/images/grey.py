"""Pixels of any number type, in colour or with transparency, as grey of eight bits."""

import math
from typing import Any, Final, cast

import cv2
import numpy as np
from jaxtyping import UInt8

from handigit.errors import ImageError

DEEP_MODES: Final = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
"""Pillow's modes of more than eight bits, which its `convert` would clip to white."""
_ARRAYS: Final = "give numbers of shape (H, W), (H, W, 3) RGB or (H, W, 4) RGBA"
_MIN_ROW: Final = 64
"""Number of values from which a row is a square picture."""
_FEW_LEVELS: Final = 16
"""Highest value of pictures with 16 or 17 levels."""
STRIP_PX: Final = 2**21
"""Pixels that are converted at a time where a copy would take several times their memory."""


def eight_bits(deep: np.ndarray) -> UInt8[np.ndarray, "height width"]:
    """Values of 16 or 32 bits, or floats, scaled to 0..255, a strip at a time to save memory.

    White is the lowest common full scale that holds the brightest value (scanners write 10 or 12 bits into 16), so that
    a dark page stays dark.
    """
    rows = max(1, STRIP_PX // deep.shape[1])
    strips = [slice(top, top + rows) for top in range(0, deep.shape[0], rows)]
    darkest = min(float(_finite(deep[strip]).min()) for strip in strips)
    base = min(darkest, 0.0)
    brightest = max(float(_finite(deep[strip]).max()) for strip in strips) - base
    scales = [1.0] if deep.dtype.kind == "f" else []
    scales += [255.0, 1023.0, 4095.0, 16383.0, 65535.0]
    white = next((scale for scale in scales if brightest <= scale), brightest)
    grey = np.empty(deep.shape, np.uint8)
    for strip in strips:
        grey[strip] = ((_finite(deep[strip]) - base) * (255 / white)).round()
    return grey


def _finite(values: np.ndarray) -> np.ndarray:
    return np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)


def as_array(source: Any) -> np.ndarray:
    """An array of a list, a tensor (also on another device), or a row of a table.

    Raises:
        ImageError: not numbers, or rows of different lengths.
    """
    if hasattr(source, "detach"):  # a PyTorch tensor, which may be part of a graph or on a GPU
        source = source.detach().cpu()
    try:
        array = np.asarray(source)
        return array.astype(np.float64) if array.dtype == object else array
    except (TypeError, ValueError) as problem:
        raise ImageError(f"cannot read a picture from this {type(source).__name__}: {problem}; {_ARRAYS}") from None


def grey_of_array(pixels: np.ndarray) -> UInt8[np.ndarray, "height width"]:
    """An array as grey: (H, W), (H, W, 3) RGB or (H, W, 4) RGBA, any number type.

    Axes of length 1 are dropped, channels may come first, and a square picture may be one row of H * W values. Booleans
    and values in 0..1 or 0..16 (as in scikit-learn's digits) are scaled to 0..255; arrays with values below 0, such as
    standardised tensors, are stretched from their minimum to their maximum.

    Raises:
        ImageError: another shape, not numbers, or no pixels.
    """
    original = pixels
    pixels = pixels.squeeze() if pixels.size > 1 else pixels
    side = math.isqrt(pixels.size)
    if pixels.ndim == 1 and side * side == pixels.size >= _MIN_ROW:
        pixels = pixels.reshape(side, side)
    if pixels.ndim == 3 and pixels.shape[0] in (3, 4) and min(pixels.shape[1:]) > 4:
        pixels = np.moveaxis(pixels, 0, 2)
    colours = pixels.shape[2:]
    if (
        pixels.dtype.kind not in "buif"
        or pixels.ndim not in (2, 3)
        or colours not in ((), (3,), (4,))
        or not pixels.size
    ):
        raise ImageError(
            f"cannot read a picture from an array of {original.dtype} with shape {original.shape}; {_ARRAYS}"
        )
    if pixels.dtype == bool:
        pixels = pixels.view(np.uint8) * np.uint8(255)
    elif pixels.dtype != np.uint8:
        values = _finite(pixels.reshape(len(pixels), -1))
        if values.min() < 0:
            values = (values - values.min()) / max(float(np.ptp(values)), 1e-9)
        elif 1 < values.max() <= _FEW_LEVELS:
            values /= _FEW_LEVELS
        pixels = eight_bits(values).reshape(pixels.shape)
    if pixels.ndim == 2:
        return np.ascontiguousarray(pixels)
    rgb = np.ascontiguousarray(pixels[..., :3])
    grey = cast("np.ndarray", cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
    return grey if colours == (3,) else without_alpha(grey, pixels[..., 3])


def without_alpha(
    grey: UInt8[np.ndarray, "height width"], alpha: UInt8[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width"]:
    """Compose a transparent picture on white, or on black where white would hide the drawing."""
    if alpha.min() == 255 or alpha.max() == 0:  # several Windows programs write 0 everywhere, and mean opaque
        return np.ascontiguousarray(grey)
    on_black, on_white = np.empty(grey.shape, np.uint8), np.empty(grey.shape, np.uint8)
    rows = max(1, STRIP_PX // grey.shape[1])
    for strip in (slice(top, top + rows) for top in range(0, grey.shape[0], rows)):
        on_black[strip] = cv2.multiply(grey[strip], alpha[strip], scale=1 / 255)
        on_white[strip] = cv2.add(on_black[strip], 255 - alpha[strip])
    faint = 32  # grey levels: less contrast than this on white, and more on black, is a drawing in white
    return on_black if np.ptp(on_white) < faint < np.ptp(on_black) else on_white
