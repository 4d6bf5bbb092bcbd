"""Decoded pixels of any mode -> 8-bit grey.

It knows colour modes, depths and transparency; it knows neither files nor which shade is paper.
"""

from typing import Final, cast

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from handigit.errors import ImageError

_DEEP_MODES: Final = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})


def grey_of_picture(picture: Image.Image) -> UInt8[np.ndarray, "height width"]:
    """The frame at which a Pillow image stands."""
    if picture.mode in _DEEP_MODES:
        return _eight_bits(np.asarray(picture))
    if picture.has_transparency_data:
        if picture.mode not in ("LA", "RGBA"):
            picture = picture.convert("RGBA")
        layers = np.asarray(picture.convert("LA"))
        return _without_alpha(layers[..., 0], layers[..., 1])
    if picture.mode not in ("1", "L", "RGB"):
        picture = picture.convert("RGB")
    return np.array(picture.convert("L"))


def _eight_bits(deep: np.ndarray) -> UInt8[np.ndarray, "height width"]:
    """Values of 16 or 32 bits, or floats, on 0..255.

    The white level is the least of the usual full scales that holds the brightest value (scanners write 10 or 12 bits
    into 16), so that a dark page stays dark.
    """
    values = np.nan_to_num(deep.astype(np.float32), posinf=0, neginf=0)
    values -= min(float(values.min()), 0.0)
    brightest = float(values.max())
    scales = [1.0] if deep.dtype.kind == "f" else []
    scales += [255.0, 1023.0, 4095.0, 16383.0, 65535.0]
    white = next((scale for scale in scales if brightest <= scale), brightest)
    return (values * (255 / white)).round().astype(np.uint8)


def grey_of_array(pixels: np.ndarray) -> UInt8[np.ndarray, "height width"]:
    """An array as grey.

    Raises:
        ImageError: another type or shape than those accepted, or no pixels.
    """
    colours = pixels.shape[2:]
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or colours not in ((), (3,), (4,)) or not pixels.size:
        raise ImageError(
            f"cannot read a picture from an array of {pixels.dtype} with shape {pixels.shape}; give uint8 of shape "
            "(H, W), (H, W, 3) RGB or (H, W, 4) RGBA, values 0..255"
        )
    if pixels.ndim == 2:
        return np.ascontiguousarray(pixels)
    rgb = np.ascontiguousarray(pixels[..., :3])
    grey = cast("np.ndarray", cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
    return grey if colours == (3,) else _without_alpha(grey, pixels[..., 3])


def _without_alpha(
    grey: UInt8[np.ndarray, "height width"], alpha: UInt8[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width"]:
    """Lay a transparent picture on white paper, or on black where white would swallow the drawing."""
    if alpha.min() == 255:
        return np.ascontiguousarray(grey)
    on_black = cv2.multiply(grey, alpha, scale=1 / 255)
    on_white = cv2.add(on_black, 255 - alpha)
    faint = 32  # grey levels: less than this on white, and more on black, is a drawing in white
    return on_black if np.ptp(on_white) < faint < np.ptp(on_black) else on_white
